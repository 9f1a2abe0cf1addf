"""Training: what a step does depends on the recipe alone, and every option of a recipe does what it says."""

import math
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from lambda_core import arguments, data, load_checkpoint
from lambda_core.training import classify, evaluate, halves
from lambda_core.training.config import RECIPES
from lambda_core.training.processes import accelerator_for
from tests.tiny import TINY, equal, losses, weights


def test_missing_data_says_what_to_do(tmp_path):
    for recipe in ("imagenette-128", "imagenet-lambda", "cifar10"):
        with pytest.raises(SystemExit, match="--data") as stopped:
            classify.main([recipe, "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--device", "cpu"])
        assert ("add --download to fetch it" in str(stopped.value)) == (recipe != "imagenet-lambda")
    for command in (evaluate, halves):  # which have no --download
        with pytest.raises(SystemExit, match="Imagenette is not in") as stopped:
            command.main(["lambda_resnet_mini", "--data", str(tmp_path)])
        assert "--download" not in str(stopped.value)


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
    modes = {(whole / name).stat().st_mode & 0o777 for name in ("last.safetensors", "state.pt", "log.csv")}
    assert len(modes) == 1  # whoever may read the log may read the weights
    assert load_checkpoint(whole / "state.pt").classes == data.IMAGENETTE_CLASSES


def test_the_card_states_the_command_without_paths(folder, tmp_path):
    given = ["imagenette-128", "--data", str(folder), "--out", str(tmp_path), "--seed", "3"]
    assert arguments.command("python -m lambda_core.training.classify", given, classify.PLACES) == (
        "python -m lambda_core.training.classify imagenette-128 --data DIR --out FOLDER --seed 3"
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--data=/home/me/d", "--out=/home/me/o"], "--data=DIR --out=FOLDER"),
        (["--da", "/home/me/d", "--ou=/home/me/o"], "--da DIR --ou=FOLDER"),
        (["--init", "/home/me/best.safetensors"], "--init best.safetensors"),
        (["--init=/home/me/best.safetensors", "--seed=3"], "--init=best.safetensors --seed=3"),
        (["--init", "lambda_resnet_mini", "--download"], "--init lambda_resnet_mini --download"),
        (["--init=timm/lambda_resnet26t.c1_in1k"], "--init=timm/lambda_resnet26t.c1_in1k"),
        (["--data", "/a", "--data", "/b"], "--data DIR --data DIR"),
        (["--set", "data=imagefolder", "--device=cpu"], "--set data=imagefolder --device=cpu"),
    ],
)
def test_no_form_of_an_option_tells_a_path(given, shown):
    assert arguments.command("python -m x", ["digits", *given], classify.PLACES) == f"python -m x digits {shown}"


def test_a_dry_run_says_what_will_happen_and_writes_nothing(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "tiny", TINY)
    arguments = ["tiny", "--data", str(folder), "--out", str(tmp_path / "run"), "--workers", "0", "--dry-run"]
    classify.main([*arguments, "--device", "cpu"])
    said = capsys.readouterr().out
    assert "3 epochs of 40 pictures: 15 steps of 8" in said and "times as many" in said
    assert re.search(r"s a step at 24 px, [\d.]+ s a step at 32 px: about", said)
    assert not (tmp_path / "run").exists()


def test_it_learns(folder, tmp_path):
    row = classify.train(replace(TINY, epochs=12, ema=0.5), tmp_path, folder, device="cpu")
    assert row["val_top1"] > 40  # colours alone tell the classes apart; chance is 10


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bfloat16"},
        {"mixup": 0.2, "cutmix": 1.0},
        {"randaugment": (2, 9), "pad": 2, "erase": 0.5, "flip": False},
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


def test_a_compiled_network_learns_what_it_would_as_it_is(folder, tmp_path, monkeypatch):
    """Its graph runs as it is: machine code would take a minute, and a compiler."""
    asked, compiled = [], torch.compile

    def graph(network, **options):
        asked.append(options)
        return compiled(network, backend="eager", fullgraph=True, dynamic=options["dynamic"])

    monkeypatch.setattr(torch, "compile", graph)
    two_blocks = {"depths": (1, 1), "widths": (8, 8), "strides": (1, 2), "stages": "CL"}
    small = replace(TINY, overrides={**TINY.overrides, **two_blocks}, epochs=1)
    for name in ("plain", "compiled"):
        classify.train(replace(small, compile=name == "compiled"), tmp_path / name, folder, device="cpu")
    torch._dynamo.reset()
    assert asked == [{"dynamic": False, "mode": "default"}]
    plain, found = weights(tmp_path / "plain"), weights(tmp_path / "compiled")
    for name, weight in plain.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-4, atol=1e-5)
    assert float(losses(tmp_path / "compiled")[0]) == pytest.approx(float(losses(tmp_path / "plain")[0]), rel=1e-5)


def test_a_network_is_compiled_where_the_command_says_so(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(classify, "train", lambda recipe, *_, **__: asked.append(recipe.compile) or {})
    for more in ([], ["--compile"], ["--set", "compile=True"]):
        classify.main(["digits", "--out", str(tmp_path), *more])
    assert asked == [False, True, True]


def test_the_ending_has_plain_pictures(folder, tmp_path):
    mixing = {"mixup": 0.2, "cutmix": 1.0, "randaugment": (2, 9), "erase": 0.5}
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


def test_transforms_depend_on_seed_epoch_and_index_alone(folder):
    source = data.imagenette("train", folder)
    one, two = (data.Repeatable(source, data.train_transform(16), seed=1, cache=cache) for cache in (False, True))
    assert torch.equal(one[3][0], two[3][0])
    two.epoch = 1
    assert not torch.equal(one[3][0], two[3][0])
