"""A plan that is made before a run tells the pace of what is slower, the network or its loader."""

import signal
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lambda_core.training import classify, plan
from tests.tiny import TINY

SLOW = 0.02  # seconds a picture


@pytest.fixture
def slowly(monkeypatch):
    """Pictures that take their time."""

    def transform(recipe, epoch):
        real = augmented(recipe, epoch)

        def wait(image):
            time.sleep(SLOW)
            return real(image)

        return wait

    augmented = classify._augmented
    monkeypatch.setattr(classify, "_augmented", transform)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loaders_pace_is_not_that_of_what_was_made_ahead(folder, tmp_path, slowly, workers):
    """Five batches an epoch, fewer than two processes make ahead and have timed."""
    recipe = replace(TINY, sizes=())
    found = classify.train(recipe, tmp_path / "run", folder, workers=workers, device="cpu", dry=True)
    assert found["loader_images_per_second"] < 1.1 * max(1, workers) / SLOW
    assert found["loader_images_per_second"] > 0.2 * max(1, workers) / SLOW  # on a busy machine
    assert found["seconds"] >= 0.99 * found["steps"] * recipe.batch / found["loader_images_per_second"]
    slower = found["loader_images_per_second"] < found["model_images_per_second"]
    assert ("h in all, as fast as the loader gives the pictures" in plan.describe(found)) == slower
    assert not (tmp_path / "run").exists()


def test_a_plan_can_be_broken_off_at_once(folder, tmp_path, monkeypatch):
    """Nothing waits for a step to end: there is nothing to save."""
    monkeypatch.setitem(classify.RECIPES, "tiny", TINY)
    monkeypatch.setattr(classify, "leave_when_asked", lambda run: pytest.fail("it would note the request alone"))
    asked = []

    def measured(run, *_):
        asked.append(signal.getsignal(signal.SIGTERM))
        return {"stopped": 0}

    monkeypatch.setattr(classify, "plan", measured)
    monkeypatch.setattr(classify, "describe", str)
    before = signal.getsignal(signal.SIGTERM)
    classify.main(["tiny", "--data", str(folder), "--out", str(tmp_path / "run"), "--device", "cpu", "--dry-run"])
    assert asked == [before]


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_memory_is_told_in_bytes_on_every_platform(monkeypatch, platform, unit):
    used = SimpleNamespace(ru_maxrss=5_000_000)
    told = SimpleNamespace(getrusage=lambda _: used, RUSAGE_SELF=0)
    monkeypatch.setitem(sys.modules, "resource", told)
    monkeypatch.setattr(plan.sys, "platform", platform)
    assert plan._peak_bytes(torch.device("cpu")) == unit * 5_000_000


def test_a_system_without_resource_plans_all_the_same(monkeypatch):
    """As Windows."""
    monkeypatch.setitem(sys.modules, "resource", None)
    assert plan._peak_bytes(torch.device("cpu")) == 0
    assert not hasattr(plan, "resource")  # without which the module would not load there
