"""A plan that is made before a run tells the pace of what is slower, the network or its loader."""

import time
from dataclasses import replace

import pytest

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
