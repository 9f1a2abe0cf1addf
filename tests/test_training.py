"""Training: what a step does depends on the recipe alone, so stops, kills and more processes change nothing."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lambda_core import build, data, load_checkpoint
from lambda_core.training import classify, evaluate
from lambda_core.training.batches import batches
from lambda_core.training.config import RECIPES, Recipe, changed
from lambda_core.training.faults import TrainingStopped, write_atomically
from lambda_core.training.loop import accelerator_for, averaging, parameter_groups, recompute_blocks, schedule
from tests import imagenette

ROOT = Path(__file__).parents[1]
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


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    classify.train(TINY, out, folder, device="cpu")
    return out


def weights(path):
    return torch.load(path / "state.pt", weights_only=True)["average"]


def losses(path):
    return [row["train_loss"] for row in csv.DictReader((path / "log.csv").read_text().splitlines())]


def equal(one, two):
    return losses(one) == losses(two) and all(torch.equal(v, weights(two)[k]) for k, v in weights(one).items())


@contextmanager
def launched(out, folder, *, slow=0.0, processes=0, restarts=0, **changes):
    """The TINY run as a command of its own, on one process or under torchrun; each step takes `slow` seconds more."""
    program = ROOT / "tests" / "train_tiny.py"
    start = [sys.executable]
    if processes:
        start += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
        start += ["--max-restarts", str(restarts), "--monitor-interval", "0.2"]
    command = [*start, str(program), str(out), str(folder), str(slow), json.dumps(changes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True, "start_new_session": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            yield process
        finally:  # with all that it started
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(condition, process):
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_killed_at_any_step_and_asked_again(folder, whole, tmp_path):
    with launched(tmp_path, folder, slow=0.05) as process:
        wait_for(lambda: (tmp_path / "state.pt").exists(), process)
        time.sleep(0.12)  # into the next epoch
        process.kill()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["epoch"] < TINY.epochs
    classify.train(TINY, tmp_path, folder, device="cpu")
    assert equal(whole, tmp_path)


@pytest.mark.parametrize("workers", [0, 1])
def test_asked_to_stop_it_saves_within_the_epoch_and_leaves(folder, whole, tmp_path, workers):
    with launched(tmp_path, folder, slow=0.3, workers=workers) as process:
        wait_for((tmp_path / "begun").exists, process)
        os.killpg(process.pid, signal.SIGTERM)  # the process that loads pictures too, as a service manager does it
        _, said = process.communicate(timeout=60)
    assert process.returncode == classify.STOPPED, said
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert 0 < state["begun"] < 5
    classify.train(TINY, tmp_path, folder, device="cpu")
    assert equal(whole, tmp_path)


def test_two_processes_with_half_the_batch_equal_one_with_the_whole(folder, whole, tmp_path):
    with launched(tmp_path, folder, processes=2) as process:
        _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    for one, two in zip(losses(whole), losses(tmp_path), strict=True):
        assert float(one) == pytest.approx(float(two), rel=1e-4)
    for name, value in weights(whole).items():
        torch.testing.assert_close(value, weights(tmp_path)[name], rtol=2e-3, atol=2e-4)


def test_a_lost_worker_ends_the_others_and_the_same_command_goes_on(folder, whole, tmp_path):
    with launched(tmp_path, folder, processes=2, slow=0.2) as process:
        wait_for(lambda: (tmp_path / "state.pt").exists(), process)
        os.kill(int((tmp_path / "rank1").read_text()), signal.SIGKILL)
        process.communicate(timeout=100)
    assert process.returncode != 0
    assert torch.load(tmp_path / "state.pt", weights_only=True)["epoch"] < TINY.epochs
    with launched(tmp_path, folder, processes=2) as process:
        _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert "going on from epoch" in said
    for one, two in zip(losses(whole), losses(tmp_path), strict=True):
        assert float(one) == pytest.approx(float(two), rel=1e-4)


def test_torchrun_starts_all_again_when_a_worker_is_lost(folder, whole, tmp_path):
    with launched(tmp_path, folder, processes=2, restarts=3, slow=0.2) as process:  # gloo may need a second try
        wait_for(lambda: (tmp_path / "state.pt").exists(), process)
        os.kill(int((tmp_path / "rank1").read_text()), signal.SIGKILL)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "going on from epoch" in said
    for one, two in zip(losses(whole), losses(tmp_path), strict=True):
        assert float(one) == pytest.approx(float(two), rel=1e-4)


def test_a_full_disk_is_said_and_the_last_state_stays(folder, tmp_path):
    with launched(tmp_path, folder, full_disk_after=1) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "could not be written: there is no room; the last good state.pt is intact" in said.splitlines()[-1]
    assert torch.load(tmp_path / "state.pt", weights_only=True)["epoch"] == 1
    assert not list(tmp_path.glob("*.part"))


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "state.pt"
    file.write_text("good")

    def fails(path):
        path.write_text("ha")
        raise OSError("power cut")

    with pytest.raises(TrainingStopped, match=r"power cut; the last good state\.pt is intact"):
        write_atomically(file, fails)
    assert file.read_text() == "good"
    (tmp_path / "state.pt.part").write_text("left behind")
    write_atomically(file, lambda path: path.write_text("new"))
    assert file.read_text() == "new"


def test_a_state_that_is_not_one_is_refused_and_left(folder, tmp_path):
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(TrainingStopped, match="not a state that this recipe can go on from"):
        classify.train(TINY, tmp_path, folder, device="cpu")
    assert (tmp_path / "state.pt").read_bytes() == b"not a state"


def test_a_nan_loss_stops_with_a_sentence_and_keeps_the_last_state(folder, tmp_path):
    classify.train(replace(TINY, epochs=1), tmp_path, folder, device="cpu")
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(TrainingStopped, match="last good state"):
        classify.train(replace(TINY, lr=1e30, epochs=2), tmp_path, folder, device="cpu")
    assert (tmp_path / "state.pt").read_bytes() == before


def test_a_corrupt_picture_is_named(tmp_path):
    root = imagenette.make(tmp_path)
    bad = next((root / "imagenette2-160" / "train").rglob("*.JPEG"))
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.raises(data.DataBroken, match=f"{bad.name} cannot be decoded"):
        classify.train(TINY, tmp_path / "run", root, device="cpu")


def test_missing_data_says_what_to_do(tmp_path):
    for recipe in ("imagenette-128", "imagenet-lambda", "cifar10"):
        with pytest.raises(SystemExit, match="--data"):
            classify.main([recipe, "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--device", "cpu"])
    with pytest.raises(SystemExit, match="Imagenette is not in"):
        evaluate.main(["lambda_resnet_mini", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match="no checkpoint"):
        evaluate.main(["nothing", "--data", str(tmp_path)])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("speed=3", "a field of a recipe"),
        ("lr", "FIELD=VALUE"),
        ("lr=fast", "something like"),
        ("batch=7.5", "like 64"),
    ],
)
def test_a_wrong_setting_is_explained(setting, said):
    with pytest.raises(ValueError, match=said):
        changed(RECIPES["imagenette-128"], [setting])


def test_settings_change_a_recipe():
    assert changed(RECIPES["imagenette-128"], ["randaugment=None"]).randaugment is None
    recipe = changed(TINY, ["lr=1", "sizes=((0, 16),)", "overrides={'stages': 'LLLL'}", "randaugment=(2, 9)"])
    assert (recipe.lr, recipe.sizes, recipe.overrides) == (1.0, ((0, 16),), {"stages": "LLLL"})
    assert recipe.randaugment == (2, 9)


def test_the_run_leaves_a_checkpoint_that_measures_as_its_card_says(folder, whole, tmp_path):
    row = classify.train(TINY, whole, folder, device="cpu")  # at its end already
    checkpoint = load_checkpoint(whole / "last.safetensors")
    said = checkpoint.card["metrics"]["val_top1"]["value"]
    measured = evaluate.measure(str(whole / "last.safetensors"), str(folder))
    assert said == pytest.approx(row["val_top1"], abs=0.01)
    assert measured["top1"] == pytest.approx(said, abs=5.01)  # one of 20 images may flip in half precision
    assert measured["top5"] >= measured["top1"]
    assert measured["images"] == 20
    assert checkpoint.classes == data.IMAGENETTE_CLASSES
    assert load_checkpoint(whole / "state.pt").classes == data.IMAGENETTE_CLASSES


def test_the_card_states_the_command_without_paths(folder, tmp_path):
    given = ["imagenette-128", "--data", str(folder), "--out", str(tmp_path), "--seed", "3"]
    assert classify._command(given) == (
        "python -m lambda_core.training.classify imagenette-128 --data DIR --out FOLDER --seed 3"
    )


def test_a_run_can_start_from_a_checkpoint(folder, whole, tmp_path):
    file = whole / "last.safetensors"
    nothing = replace(TINY, lr=0.0, epochs=1, ema=0.0)
    classify.train(nothing, tmp_path / "second", folder, device="cpu", init=str(file))
    first, second = load_checkpoint(file).model, load_checkpoint(tmp_path / "second" / "state.pt").model
    assert torch.equal(first.stem[0].weight, second.stem[0].weight)
    wider = replace(nothing, overrides={**TINY.overrides, "widths": (16, 8, 8, 8)})
    classify.train(wider, tmp_path / "third", folder, device="cpu", init=str(file))
    third = load_checkpoint(tmp_path / "third" / "state.pt").model
    assert torch.equal(third.stages[0][0].norm1.weight[::2], first.stages[0][0].norm1.weight)
    crooked = replace(nothing, overrides={**TINY.overrides, "widths": (12, 8, 8, 8)})
    with pytest.raises(ValueError, match="another shape"):
        classify.train(crooked, tmp_path / "fourth", folder, device="cpu", init=str(file))


def test_a_dry_run_says_what_will_happen_and_writes_nothing(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "tiny", TINY)
    arguments = ["tiny", "--data", str(folder), "--out", str(tmp_path / "run"), "--workers", "0", "--dry-run"]
    classify.main([*arguments, "--device", "cpu"])
    said = capsys.readouterr().out
    assert "3 epochs of 40 pictures: 15 steps of 8" in said and "times as many" in said
    assert not (tmp_path / "run").exists()


def test_it_learns(folder, tmp_path):
    row = classify.train(replace(TINY, epochs=12, ema=0.5), tmp_path, folder, device="cpu")
    assert row["val_top1"] > 40  # colours alone tell the classes apart; chance is 10


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"mixup": 0.2, "cutmix": 1.0},
        {"randaugment": (2, 9), "pad": 2, "flip": False},
        {"optimizer": "sgd", "lr": 0.1, "checkpoint_blocks": True},
        {"overrides": {**TINY.overrides, "dropout": 0.2}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_options_train_and_are_repeatable(folder, tmp_path, changes):
    recipe = replace(TINY, **changes, epochs=2)
    rows = [classify.train(recipe, tmp_path / name, folder, device="cpu") for name in "ab"]
    assert math.isfinite(rows[0]["train_loss"]) and rows[0]["val_loss"] < 10
    assert equal(tmp_path / "a", tmp_path / "b")


def test_the_ending_has_plain_pictures(folder, tmp_path):
    mixing = {"mixup": 0.2, "cutmix": 1.0, "randaugment": (2, 9)}
    plain = replace(TINY, epochs=2)
    assert [replace(plain, **mixing, ending=1).at(epoch).cutmix for epoch in (0, 1)] == [1.0, 0.0]
    runs = {
        "plain": plain,
        "all ending": replace(plain, **mixing, ending=2),
        "half": replace(plain, **mixing, ending=1),
    }
    for name, recipe in runs.items():
        classify.train(recipe, tmp_path / name, folder, device="cpu")
    assert equal(tmp_path / "plain", tmp_path / "all ending") and not equal(tmp_path / "plain", tmp_path / "half")


def test_float16_without_a_gpu_is_refused():
    with pytest.raises(ValueError, match="needs a GPU"):
        accelerator_for(replace(TINY, precision="float16"), "cpu")


def test_accumulated_parts_equal_the_whole(folder, tmp_path):
    """Without batch norm, whose statistics are those of a part."""

    def without_norms(run):
        for module in run.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.__class__ = nn.Identity

    small = replace(TINY, lr=1e-3, epochs=1, optimizer="sgd")
    for name, parts in {"one": 1, "four": 4}.items():
        recipe = replace(small, accumulate=parts)
        classify.train(recipe, tmp_path / name, folder, device="cpu", watch=without_norms)
    one, four = weights(tmp_path / "one"), weights(tmp_path / "four")
    assert all(torch.allclose(one[name], four[name], atol=1e-5) for name in one)
    assert float(losses(tmp_path / "one")[0]) == pytest.approx(float(losses(tmp_path / "four")[0]), rel=1e-5)


def test_recomputed_blocks_give_the_same_gradients_and_statistics():
    results = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = build(TINY.model, **TINY.overrides).train()
        for block in model.stages:
            nn.init.ones_(block[0].norm3.weight)
        if recompute:
            recompute_blocks(model)
        torch.manual_seed(1)
        model(torch.randn(2, 3, 32, 32)).square().sum().backward()
        results.append({n: p.grad for n, p in model.named_parameters()} | dict(model.named_buffers()))
    plain, again = results
    for name, value in plain.items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(again[name], value)


@pytest.mark.parametrize(("accumulate", "world"), [(1, 1), (2, 1), (1, 4), (2, 2)])
def test_processes_and_parts_share_the_pictures_of_each_step(accumulate, world):
    one = list(batches(21, 8, seed=1, epoch=2))
    assert len(one) == 2 and not set(one[0]) & set(one[1])
    shares = [
        list(batches(21, 8, seed=1, epoch=2, accumulate=accumulate, rank=rank, world=world)) for rank in range(world)
    ]
    for step in range(2):
        seen = [i for share in shares for part in share[step * accumulate : (step + 1) * accumulate] for i in part]
        assert sorted(seen) == sorted(one[step])
    assert list(batches(21, 8, seed=1, epoch=2, start=1)) == one[1:]
    assert one != list(batches(21, 8, seed=1, epoch=3))
    with pytest.raises(ValueError, match="multiple of 6"):
        list(batches(21, 8, seed=1, epoch=2, accumulate=2, world=3))


def test_schedule_warms_up_and_ends_at_zero():
    values = [schedule(step, 100, 0.1) for step in range(100)]
    assert values.index(max(values)) in (9, 10)
    assert max(values) == pytest.approx(1)
    assert values[-1] < 0.001
    assert values[0] == pytest.approx(0.1)


def test_the_average_follows_at_once_and_slows_down():
    update = averaging(0.9)
    average, current = [torch.zeros(1)], [torch.ones(1)]
    update(average, current, 1)
    assert average[0].item() == pytest.approx(1 - 2 / 11)
    average = [torch.zeros(1)]
    update(average, current, 10_000)
    assert average[0].item() == pytest.approx(0.1)


def test_sizes_follow_the_plan():
    assert [TINY.side(epoch) for epoch in (0, 1, 2, 9)] == [24, 24, 32, 32]
    assert replace(TINY, sizes=()).side(5) == TINY.size


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


def test_recipes_name_networks_and_data_that_exist():
    for recipe in RECIPES.values():
        assert recipe.data in data.DATASETS
        with torch.device("meta"):
            build(recipe.model, **recipe.overrides)


def test_digits_are_there_without_a_folder():
    train, val = (data.DATASETS["digits"].load(split) for split in ("train", "val"))
    assert (len(train), len(val)) == (1438, 359)
    image, label = train[0]
    assert image.size == (8, 8) and label in range(10)
