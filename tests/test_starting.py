"""What a run begins from: random weights, those of a checkpoint, and the network that they are of."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from lambda_core import LambdaLayer, build, data, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import to_lucidrains, to_timm
from lambda_core.training import classify, loop, starting
from lambda_core.training.config import INIT, RECIPES
from lambda_core.training.evaluate import measure
from lambda_core.training.faults import TrainingStopped
from tests.tiny import TINY, equal

SHORT = replace(RECIPES["finetune"], data="imagenette", epochs=1, batch=8, precision="float32")


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


def test_a_network_that_knew_other_classes_gets_a_new_classifier(whole, tmp_path):
    """As many classes, more, fewer: what stands before them is kept, and the scores are of the new ones."""
    begun = load_checkpoint(whole / "last.safetensors").model
    for count in (10, 20, 3):
        place = tmp_path / str(count)
        for number in range(2 * count):
            file = place / ("train" if number < count else "val") / f"class {number % count:02}" / "one.png"
            file.parent.mkdir(parents=True)
            Image.new("RGB", (32, 32), (10 * number, 0, 0)).save(file)
        recipe = replace(TINY, data="imagefolder", overrides={**TINY.overrides, "num_classes": count})
        still = replace(recipe, batch=count, lr=0.0, epochs=1, ema=0.0)
        classify.train(still, place / "run", place, device="cpu", init=str(whole / "last.safetensors"))
        found = load_checkpoint(place / "run" / "state.pt")
        assert found.classes == tuple(f"class {label:02}" for label in range(count))
        assert torch.equal(found.model.stem[0].weight, begun.stem[0].weight)
        assert found.model.classify.weight.shape == (count, found.model.num_features)
        assert not torch.isin(found.model.classify.weight, begun.classify.weight).any()


def test_nothing_to_start_from_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="--init takes a network of the zoo or a file: leave it out for random"):
        classify.train(TINY, tmp_path / "run", folder, device="cpu", init="")


def test_finetuning_takes_the_network_that_the_weights_have(folder, whole, tmp_path):
    """Whatever its depth, widths and image size, and none of its classes."""
    still = replace(SHORT, lr=0.0, ema=0.0, epochs=1)
    classify.train(still, tmp_path / "run", folder, device="cpu", init=str(whole / "last.safetensors"))
    begun, found = (load_checkpoint(place / "last.safetensors") for place in (whole, tmp_path / "run"))
    assert found.card["architecture"] == {
        **begun.card["architecture"],
        "overrides": begun.card["architecture"]["overrides"],
    }
    assert found.preprocess["size"] == begun.preprocess["size"] == 32
    assert torch.equal(found.model.stem[0].weight, begun.model.stem[0].weight)


def test_options_of_the_recipe_are_laid_over_those_of_the_network(folder, whole, tmp_path):
    recipe = replace(SHORT, size=24, overrides={"drop_path": 0.5})
    classify.train(recipe, tmp_path / "run", folder, device="cpu", init=str(whole / "last.safetensors"))
    found = load_checkpoint(tmp_path / "run" / "last.safetensors")
    overrides = found.card["architecture"]["overrides"]
    assert (overrides["drop_path"], overrides["layer"]) == (0.5, TINY.overrides["layer"])
    assert found.preprocess["size"] == 24


def test_finetuning_goes_on_without_the_file_that_it_began_from(folder, whole, tmp_path):
    file = tmp_path / "begin.safetensors"
    shutil.copy(whole / "last.safetensors", file)
    twice = replace(SHORT, epochs=2)
    classify.train(twice, tmp_path / "whole", folder, device="cpu", init=str(file))

    def stop_after_two_steps(run):
        after = run.average.update_parameters
        run.average.update_parameters = lambda model: (after(model), setattr(run, "stop", 15 * (run.step == 1)))

    done = classify.train(twice, tmp_path / "cut", folder, device="cpu", init=str(file), watch=stop_after_two_steps)
    assert done == {"stopped": 15, "epoch": 0, "step": 2}
    file.unlink()
    classify.train(twice, tmp_path / "cut", folder, device="cpu", init=str(file))
    assert equal(tmp_path / "cut", tmp_path / "whole")


def test_finetuning_takes_weights_of_timm(folder, tmp_path):
    model = build("lambda_resnet26t", num_classes=7)
    torch.save(to_timm(model), tmp_path / "theirs.pth")
    recipe = replace(SHORT, size=32, lr=0.0, ema=0.0)
    classify.train(recipe, tmp_path / "run", folder, device="cpu", init=str(tmp_path / "theirs.pth"))
    found = load_checkpoint(tmp_path / "run" / "state.pt").model
    assert found.num_classes == 10
    assert torch.equal(found.stages[0][0].reduce.weight, model.stages[0][0].reduce.weight)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (SHORT, "takes its network and image size from a checkpoint: add --init"),
        (replace(SHORT, size=32), "add --init"),
        (replace(SHORT, model="lambda_resnet_mini"), "--set size=128"),
        (replace(SHORT, sizes=((0, 24),)), "sizes=.* need a size to end at"),
    ],
)
def test_what_is_left_to_weights_needs_some(folder, tmp_path, recipe, said):
    with pytest.raises(ValueError, match=said):
        classify.train(recipe, tmp_path / "run", folder, device="cpu")
    assert not (tmp_path / "run").exists()


def test_weights_that_cannot_be_trained_are_refused(folder, tmp_path):
    torch.save(to_lucidrains(LambdaLayer(16, scope=5)), tmp_path / "layer.pt")
    grey = {"name": "resnet26", "overrides": {"depths": (1, 1, 1, 1), "in_chans": 1, "num_classes": 10}}
    bare = {**grey, "overrides": {**grey["overrides"], "in_chans": 3}}
    for name, architecture in (("grey", grey), ("bare", bare)):
        model = build(architecture["name"], **architecture["overrides"])
        save_checkpoint(tmp_path / f"{name}.safetensors", model, architecture=architecture)
    for file, size, said in (
        ("layer.pt", 32, "one lambda layer"),
        ("grey.safetensors", 32, "in_chans must be 3"),
        ("bare.safetensors", 0, "does not say how a picture is prepared"),
    ):
        recipe = replace(SHORT, size=size)
        with pytest.raises(ValueError, match=said):
            classify.train(recipe, tmp_path / "run", folder, device="cpu", init=str(tmp_path / file))


def test_a_state_of_something_else_is_said(folder, tmp_path):
    """Also where the network is to be found in it."""
    torch.save({"a": 1}, tmp_path / "state.pt")
    with pytest.raises(TrainingStopped, match="not a state that this recipe can go on from"):
        classify.train(SHORT, tmp_path, folder, device="cpu", init="lambda_resnet_mini")


def test_machines_that_share_no_disk_are_told_so(tmp_path):
    """One of two processes finds a state, and the other none."""
    accelerator = SimpleNamespace(num_processes=2, gather=lambda mine: torch.cat([mine, 0 * mine]))
    run = SimpleNamespace(
        resume=lambda init: True, epoch=1, step=5, device="cpu", folder=tmp_path, accelerator=accelerator
    )
    with pytest.raises(TrainingStopped, match="--out must be on a disk that all machines share"):
        starting.begin(run, None, None)


def test_weights_of_another_network_tell_how_they_are_trained(folder, whole, tmp_path):
    deeper = replace(TINY, overrides={**TINY.overrides, "depths": (2, 1, 1, 1)})
    with pytest.raises(ValueError, match="--set model=init trains their own"):
        classify.train(deeper, tmp_path / "run", folder, device="cpu", init=str(whole / "last.safetensors"))


SEEN = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.25], "crop": 0.8, "interpolation": "bilinear"}


@pytest.mark.parametrize("model", [INIT, TINY.model])
def test_pictures_are_prepared_as_the_weights_have_seen_them(folder, whole, tmp_path, monkeypatch, model):
    """In training and in measuring, by the command that goes on too, and the file says so."""
    begun, file = load_checkpoint(whole / "last.safetensors"), tmp_path / "begin.safetensors"
    save_checkpoint(
        file, begun.model, architecture=begun.card["architecture"], classes=begun.classes,
        preprocess={**SEEN, "size": 32}, dtype=torch.float32,
    )  # fmt: skip
    given, real = [], loop.normalize

    def normalize(images, mean, std):
        given.append((list(mean), list(std)))
        return real(images, mean, std)

    monkeypatch.setattr(loop, "normalize", normalize)
    recipe = replace(SHORT, lr=0.0, ema=0.0, **({} if model == INIT else {"model": model, "size": 32}))
    recipe = recipe if model == INIT else replace(recipe, overrides=TINY.overrides)
    for epochs in (1, 2):
        row = classify.train(replace(recipe, epochs=epochs), tmp_path / "run", folder, device="cpu", init=str(file))
        assert len(given) > 5 and all(each == (SEEN["mean"], SEEN["std"]) for each in given)
        for name in ("last.safetensors", "state.pt"):
            assert load_checkpoint(tmp_path / "run" / name).preprocess == {**SEEN, "size": 32}
        again = measure(str(tmp_path / "run" / "state.pt"), folder, workers=0)
        assert again["loss"] == pytest.approx(row["val_loss"], rel=1e-5)
        given.clear()


def test_a_state_of_before_goes_on_as_it_began(folder, whole, tmp_path):
    """It does not tell how pictures are prepared, or tells what all runs had then."""
    shutil.copytree(whole, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["preprocess"] == {"size": 32, "mean": data.IMAGENET_MEAN, "std": data.IMAGENET_STD}
    del state["preprocess"]
    torch.save(state, tmp_path / "run" / "state.pt")
    classify.train(TINY, tmp_path / "run", folder, device="cpu")
    assert equal(tmp_path / "run", whole)
