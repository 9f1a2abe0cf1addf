"""Training: a run that stops and goes on equals one that never stopped; failures say what to do."""

import csv
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from lambda_core import data, load_checkpoint
from lambda_core.training import classify, evaluate
from lambda_core.training.config import RECIPES, Recipe
from lambda_core.training.loop import Run, parameter_groups, schedule, size_at
from tests import imagenette

TINY = Recipe(
    model="resnet26",
    overrides={
        "depths": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "stem": ((3, 8, 2),), "pool": False,
        "num_classes": 10, "stages": "CCLL", "layer": {"scope": 3, "dim_k": 4, "heads": 2},
    },
    size=32, sizes=((0, 24), (2, 32)), epochs=3, batch=8, precision="float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return imagenette.make(tmp_path_factory.mktemp("data"))


def weights(path):
    return torch.load(path / "state.pt", weights_only=True)["average"]


def test_going_on_after_a_stop_changes_nothing(folder, tmp_path, monkeypatch):
    classify.train(TINY, tmp_path / "whole", folder, workers=0, device="cpu")

    save, saves = Run.save, []

    def stop_after_the_second(run):
        save(run)
        saves.append(run.epoch)
        if run.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", stop_after_the_second)
    with pytest.raises(KeyboardInterrupt):
        classify.train(TINY, tmp_path / "parts", folder, workers=0, device="cpu")
    monkeypatch.setattr(Run, "save", save)
    classify.train(TINY, tmp_path / "parts", folder, workers=0, device="cpu")

    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    rows = list(csv.DictReader((tmp_path / "parts" / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_kill_9_and_the_same_command_again(folder, tmp_path):
    program = (
        "import sys; from tests.test_training import TINY; from dataclasses import replace; from pathlib import Path\n"
        "from lambda_core.training import classify\n"
        "classify.train(replace(TINY, epochs=400), Path(sys.argv[1]), sys.argv[2], workers=0, device='cpu')"
    )
    out = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", program, str(out), str(folder)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    epoch = torch.load(out / "state.pt", weights_only=True)["epoch"]
    classify.train(replace(TINY, epochs=epoch + 1), out, folder, workers=0, device="cpu")
    assert torch.load(out / "state.pt", weights_only=True)["epoch"] == epoch + 1


def test_the_run_leaves_a_checkpoint_that_measures_as_its_card_says(folder, tmp_path):
    row = classify.train(TINY, tmp_path, folder, workers=0, device="cpu")
    checkpoint = load_checkpoint(tmp_path / "last.safetensors")
    said = checkpoint.card["metrics"]["val_top1"]["value"]
    measured = evaluate.measure(str(tmp_path / "last.safetensors"), str(folder), workers=0)
    assert said == pytest.approx(row["val_top1"], abs=0.01)
    assert measured["top1"] == pytest.approx(said, abs=5.01)  # one of 20 images may flip in half precision
    assert measured["images"] == 20
    assert checkpoint.classes == data.IMAGENETTE_CLASSES
    assert load_checkpoint(tmp_path / "state.pt").classes == data.IMAGENETTE_CLASSES


def test_a_run_can_start_from_a_checkpoint(folder, tmp_path):
    classify.train(TINY, tmp_path / "first", folder, workers=0, device="cpu")
    file = tmp_path / "first" / "last.safetensors"
    nothing = replace(TINY, lr=0.0, epochs=1, ema=0.0)
    classify.train(nothing, tmp_path / "second", folder, workers=0, device="cpu", init=str(file))
    first, second = load_checkpoint(file).model, load_checkpoint(tmp_path / "second" / "state.pt").model
    assert torch.equal(first.stem[0].weight, second.stem[0].weight)
    wider = replace(TINY, overrides={**TINY.overrides, "widths": (16, 8, 8, 8)})
    with pytest.raises(ValueError, match="another shape"):
        classify.train(wider, tmp_path / "third", folder, workers=0, device="cpu", init=str(file))


def test_it_learns(folder, tmp_path):
    row = classify.train(replace(TINY, epochs=12, ema=0.5), tmp_path, folder, workers=0, device="cpu")
    assert row["val_top1"] > 40  # colours alone tell the classes apart; chance is 10


def test_bfloat16_trains_without_nan(folder, tmp_path):
    row = classify.train(replace(TINY, precision="bfloat16"), tmp_path, folder, workers=0, device="cpu")
    assert math.isfinite(row["train_loss"])


def test_a_nan_loss_stops_with_a_sentence_and_keeps_the_last_state(folder, tmp_path):
    classify.train(replace(TINY, epochs=1), tmp_path, folder, workers=0, device="cpu")
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(FloatingPointError, match="last good epoch"):
        classify.train(replace(TINY, lr=1e30, epochs=2), tmp_path, folder, workers=0, device="cpu")
    assert (tmp_path / "state.pt").read_bytes() == before


def test_missing_data_says_what_to_do(tmp_path, capsys):
    with pytest.raises(SystemExit, match="LAMBDA_DATA"):
        classify.main(["imagenette-128", "--data", str(tmp_path), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit, match="Imagenette is not in"):
        evaluate.main(["lambda_resnet_mini", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match="no checkpoint"):
        evaluate.main(["nothing", "--data", str(tmp_path)])


def test_schedule_warms_up_and_ends_at_zero():
    values = [schedule(step, 100, 0.1) for step in range(100)]
    assert values.index(max(values)) in (9, 10)
    assert max(values) == pytest.approx(1)
    assert values[-1] < 0.001
    assert values[0] == pytest.approx(0.1)


def test_sizes_follow_the_plan():
    assert [size_at(((0, 96), (3, 128)), epoch) for epoch in (0, 2, 3, 9)] == [96, 96, 128, 128]


def test_norms_biases_and_embeddings_do_not_decay():
    model = torch.nn.Linear(2, 2)
    decayed, free = parameter_groups(model, 0.1)
    assert [p.dim() for p in decayed["params"]] == [2]
    assert [p.dim() for p in free["params"]] == [1]
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)


def test_transforms_depend_on_seed_epoch_and_index_alone(folder):
    source = data.imagenette("train", folder)
    one, two = (data.Repeatable(source, data.train_transform(16), seed=1, cache=cache) for cache in (False, True))
    assert torch.equal(one[3][0], two[3][0])
    two.epoch = 1
    assert not torch.equal(one[3][0], two[3][0])


def test_recipes_name_networks_that_exist():
    for recipe in RECIPES.values():
        model = classify.build(recipe.model, **recipe.overrides)
        assert sum(p.numel() for p in model.parameters()) <= 2_500_000
