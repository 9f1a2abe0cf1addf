"""Attributions of networks in a wrapper or in an unusual state, in pieces of a size, and beside other threads."""

import warnings

import pytest
import torch
from torch import nn

from lambda_core import build
from lambda_core.attribution import attribute, cascade, halves
from lambda_core.attribution.heat import layer_path
from lambda_core.attribution.methods import BATCH

LAYER = "stages.3.0.mix"


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = build(
        "lambda_resnet_mini", depths=(1, 1, 1, 1), widths=(4, 4, 8, 8), num_classes=5, scope=3, engine="einsum"
    ).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return made


@pytest.mark.parametrize("inside", [False, True])
def test_a_compiled_network_is_looked_into(model, inside):
    x = torch.randn(1, 3, 24, 24)
    expected = attribute(model, x, 1, method="layer_activation"), halves(model, x, 1, LAYER, steps=4).content
    if inside:
        model.stages[3] = compiled = torch.compile(model.stages[3], backend="eager")
        paths, compiled = (None, LAYER, "stages.3._orig_mod.0.mix"), model
    else:
        paths, compiled = (None, LAYER, f"_orig_mod.{LAYER}"), torch.compile(model, backend="eager")
    assert layer_path(compiled, None) == LAYER
    for path in paths:
        torch.testing.assert_close(attribute(compiled, x, 1, method="layer_activation", layer=path), expected[0])
    for path in paths[1:]:
        torch.testing.assert_close(halves(compiled, x, 1, path, steps=4).content, expected[1])
    if not inside:
        assert cascade(compiled, x, 1, method="layer_activation", layer=paths[-1]).similarity[0] == pytest.approx(1)
    with pytest.raises(ValueError, match=f"its lambda layers are stages.2.0.mix, {LAYER}"):
        attribute(compiled, x, 1, method="layer_activation", layer="stages.9")


def test_a_layer_with_both_halves_off_has_two_shares_of_nothing(model):
    mix = model.get_submodule(LAYER)
    mix.content = mix.position = False
    x = torch.randn(1, 3, 24, 24)
    found = halves(model, x, 1, LAYER, steps=4)
    assert not found.content.any() and not found.position.any()
    assert found.content.shape == found.position.shape
    assert found.logit == found.silent == pytest.approx(model(x)[0, 1].item(), abs=1e-5)


def test_halves_of_a_network_in_half_precision(model):
    x = torch.randn(1, 3, 24, 24)
    whole = halves(model, x, 1, LAYER)
    small = halves(model.bfloat16(), x.bfloat16(), 1, LAYER)
    assert small.logit - small.silent == pytest.approx(whole.logit - whole.silent, abs=0.02, rel=0.1)


@pytest.mark.parametrize("pictures", [1, 3, BATCH + 1])
def test_occlusion_of_several_pictures_is_as_large_as_of_one(pictures):
    sizes, shares = [], []

    class Mean(nn.Module):
        def forward(self, x):
            sizes.append(len(x))
            return x.mean((2, 3))

    x = torch.randn(pictures, 3, 16, 16)
    attribute(Mean(), x, 1, method="occlusion", window=8, stride=4, progress=shares.append)
    assert max(sizes) <= max(BATCH, pictures)
    assert shares == pytest.approx([(n + 1) / len(sizes) for n in range(len(sizes) - 1)])


def test_deeplift_leaves_the_warnings_of_other_threads_as_they_are(model):
    """A filter is added, and none are put aside for later: another thread may set its own in between."""
    before, between, x = warnings.filters, [], torch.randn(1, 3, 24, 24)
    attribute(model, x, 1, method="deeplift", progress=lambda _: between.append(warnings.filters))
    assert between and all(filters is before for filters in [*between, warnings.filters])
