"""Recipes, and the plain functions that a step is made of."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.overrides import TorchFunctionMode

from lambda_core import build, data
from lambda_core.cost.attention import PARAMETERS
from lambda_core.layers import LAYERS
from lambda_core.training import classify
from lambda_core.training.batches import batches
from lambda_core.training.config import INIT, RECIPES, changed, check
from lambda_core.training.optimizing import Average, averaging, parameter_groups, schedule
from tests.tiny import TINY


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
    assert schedule(150, 100, 0.1) == pytest.approx(0)  # past the end, where pictures went away


def test_the_average_follows_at_once_and_slows_down():
    update = averaging(0.9)
    average, current = [torch.zeros(1)], [torch.ones(1)]
    update(average, current, 1)
    assert average[0].item() == pytest.approx(1 - 2 / 11)
    average = [torch.zeros(1)]
    update(average, current, 10_000)
    assert average[0].item() == pytest.approx(0.1)


class Called(TorchFunctionMode):
    """The names of what is called of PyTorch."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.add(function.__name__)
        return function(*args, **(kwargs or {}))


def test_the_average_is_that_of_pytorch_and_waits_for_no_gpu():
    """As it would by a copy to it, `to`, from step to step."""
    model, update = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), averaging(0.9)
    mine = Average(model, 0.9)
    theirs = AveragedModel(model, multi_avg_fn=lambda old, new, n: update(old, new, int(n)), use_buffers=True)
    for _ in range(3):
        model(torch.randn(5, 3))
        with torch.no_grad():
            model[0].weight.add_(torch.randn(4, 3))
        with Called() as called:
            mine.update_parameters(model)
        theirs.update_parameters(model)
        assert "_foreach_copy_" in called.names and "to" not in called.names
    found, expected = mine.state_dict(), theirs.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


def test_sizes_follow_the_plan():
    assert [TINY.side(epoch) for epoch in (0, 1, 2, 9)] == [24, 24, 32, 32]
    assert replace(TINY, sizes=()).side(5) == TINY.size


def test_norms_biases_and_embeddings_do_not_decay():
    model = torch.nn.Linear(2, 2)
    decayed, free = parameter_groups(model, 0.1)
    assert [p.dim() for p in decayed["params"]] == [2]
    assert [p.dim() for p in free["params"]] == [1]
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize("letter", LAYERS)
def test_no_layers_position_embeddings_decay(letter):
    layer = LAYERS[letter](16, 16)
    names = {parameter: name for name, parameter in layer.named_parameters()}
    tables = {"embeddings"} if letter == "L" else {
        name for part in layer.modules() for name in PARAMETERS.get(type(part), ())
    }  # fmt: skip
    decayed, _ = parameter_groups(layer, 0.1)
    assert not tables & {names[parameter].rpartition(".")[2] for parameter in decayed["params"]}
    assert bool(tables) == (letter in "LARGX")


def test_recipes_name_networks_and_data_that_exist():
    for recipe in RECIPES.values():
        assert recipe.data in data.DATASETS
        if recipe.model != INIT:
            with torch.device("meta"):
                build(recipe.model, **recipe.overrides)


def test_digits_are_there_without_a_folder():
    train, val = (data.DATASETS["digits"].load(split) for split in ("train", "val"))
    assert (len(train), len(val)) == (1438, 359)
    image, label = train[0]
    assert image.size == (8, 8) and label in range(10)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer": "foo"}, "optimizer must be one of adamw, sgd, not 'foo'"),
        ({"precision": "foo"}, "precision must be one of float32"),
        ({"data": "foo"}, "data must be one of imagenette"),
        ({"batch": 0}, "batch must be at least 1, not 0"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"ema": 2.0}, "ema must be at least 0 and below 1, not 2.0"),
        ({"erase": 1.0}, "erase must be at least 0 and below 1, not 1.0"),
        ({"scale": (2, 1)}, "scale must be"),
        ({"scale": (0.5,)}, "scale must be"),
        ({"scale": ("a", "b")}, "scale must be"),
        ({"randaugment": 5}, "randaugment must be"),
        ({"randaugment": (2, 40)}, "randaugment must be"),
        ({"sizes": (1, 2)}, "sizes must be"),
        ({"sizes": ((0, "a"),)}, "sizes must be"),
        ({"sizes": ((40, 128), (0, 96))}, "first epochs of sizes must grow"),
        ({"sizes": ((0, 0),)}, "sizes must be"),
        ({"seed": 2**63 - 1}, "seed must be below"),
        ({"size": 1}, "size must be at least 2, not 1"),
        ({"sizes": ((0, 1),)}, "sizes must be"),
        ({"cutmix": 1e-300}, "cutmix must be 0 for none, or from 0.001 to 1000, not 1e-300"),
        ({"mixup": float("inf")}, "mixup must be 0 for none, or from"),
        ({"mixup": -1.0}, "mixup must be 0 for none, or from"),
        ({"overrides": {1: 2}}, "overrides must have options by name, as .*, not 1"),
        ({"overrides": {"in_chans": 1}}, "in_chans must be 3 in training, whose pictures have three channels, not 1"),
    ],
)
def test_a_value_that_no_run_could_have_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        check(replace(RECIPES["digits"], **changes))


def test_the_help_says_which_seeds_there_are():
    assert "0 to 4,294,967,295" in classify.parser().format_help()


def test_every_recipe_can_be_run():
    for recipe in RECIPES.values():
        check(recipe)
