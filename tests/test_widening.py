"""A wider network computes what the narrow one does, and its copies part ways in training."""

import pytest
import torch

from lambda_core import build
from lambda_core.models.widening import CannotWiden, widen

SMALL = {"depths": (1, 1), "stages": "CL", "strides": (1, 2), "stem": ((3, 8, 2),), "pool": False, "num_classes": 5}


def network(width, seed=0, **changed):
    torch.manual_seed(seed)
    scope = {"layer": {"scope": 5, "dim_k": 4, "heads": 2, **changed.pop("layer", {})}}
    model = build("resnet26", **SMALL | {"widths": (width, 2 * width)} | scope | changed)
    for module in model.modules():  # statistics and scales as after some training
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    return model.eval()


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("stages", ["CL", "LL", "SL"])
def test_the_wider_network_gives_the_same_scores(times, stages):
    narrow, wide = network(4, stages=stages), network(4 * times, seed=1, stages=stages)
    x = torch.rand(2, 3, 32, 32)
    assert not torch.allclose(wide(x), narrow(x), atol=1e-3)
    widen(narrow, wide)
    torch.testing.assert_close(wide(x), narrow(x), rtol=1e-4, atol=1e-5)


def test_copies_part_ways():
    narrow, wide = network(4), network(8, seed=1)
    widen(narrow, wide)
    weight = wide.stages[0][0].reduce.weight
    torch.testing.assert_close(weight[0::2], weight[1::2])
    wide(torch.rand(2, 3, 32, 32)).square().sum().backward()
    gradient = wide.stages[0][0].norm1.weight.grad
    assert not torch.allclose(gradient[0::2], gradient[1::2], rtol=0.05)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"width": 6}, "multiple"),
        ({"width": 8, "stages": "LL"}, "same layers"),
        ({"width": 8, "layer": {"scope": 7}}, "multiple"),
        ({"width": 8, "layer": {"dim_u": 2}}, "cannot be widened"),
    ],
)
def test_another_network_is_refused_and_left_alone(other, why):
    narrow_layer = {"layer": {"dim_u": 2}} if "dim_u" in str(other) else {}
    narrow, wide = network(4, **narrow_layer), network(**{"seed": 1, **other})
    before = {name: tensor.clone() for name, tensor in wide.state_dict().items()}
    with pytest.raises(CannotWiden, match=why):
        widen(narrow, wide)
    assert all(torch.equal(tensor, before[name]) for name, tensor in wide.state_dict().items())


def test_a_network_for_small_images_alone_is_copied_and_widened():
    layer = {"layer": {"scope": None}, "image_size": 32}
    x = torch.rand(2, 3, 32, 32)
    for width in (4, 8):
        narrow, wide = network(4, **layer), network(width, seed=1, **layer)
        widen(narrow, wide, size=32)
        torch.testing.assert_close(wide(x), narrow(x), rtol=1e-4, atol=1e-5)
    wide = network(8, seed=1, **layer)
    before = {name: tensor.clone() for name, tensor in wide.state_dict().items()}
    with pytest.raises(ValueError, match="up to size"):
        widen(narrow, wide)
    assert all(torch.equal(tensor, before[name]) for name, tensor in wide.state_dict().items())
    widen(narrow, network(4, **layer))  # nothing to compare


def test_images_have_the_channels_of_the_network_and_its_parts_keep_their_modes():
    narrow, wide = network(4, in_chans=1).train(), network(8, seed=1, in_chans=1).train()
    for each in (narrow, wide):
        each.stem.eval()  # as where a part is frozen
    modes = [[part.training for part in each.modules()] for each in (narrow, wide)]
    widen(narrow, wide)
    assert [[part.training for part in each.modules()] for each in (narrow, wide)] == modes
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(wide.eval()(x), narrow.eval()(x), rtol=1e-4, atol=1e-5)


def test_the_narrow_network_may_be_in_another_precision():
    """As on another device: images go where it is."""
    narrow, wide = network(4).double(), network(8, seed=1)
    widen(narrow, wide)
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(wide(x), narrow(x.double()).float(), rtol=1e-4, atol=1e-5)
