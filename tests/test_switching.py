"""Switches: a half that is off gives zeros and nothing else changes, and everything comes back."""

import pytest
import torch

from lambda_core import LambdaLayer, trace
from lambda_core.models import build
from lambda_core.switching import HALVES, everywhere, halves, switched

PATH = "stages.3.0.mix"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build("lambda_resnet_mini", num_classes=5).eval()


def test_halves_are_those_that_were_built():
    one = torch.nn.ModuleDict(
        {
            "both": LambdaLayer(8, scope=3),
            "content": LambdaLayer(8, position=False),
            "position": LambdaLayer(8, scope=3, content=False),
            "other": torch.nn.Linear(2, 2),
        }
    )
    assert halves(one) == {"both": HALVES, "content": ("content",), "position": ("position",)}
    assert everywhere(one, "content") == {"both": ("content",), "content": ("content",)}


@torch.no_grad()
@pytest.mark.parametrize("off", [("content",), ("position",), HALVES])
def test_a_layer_gives_what_is_left(off):
    layer = LambdaLayer(8, scope=3).eval()
    x = torch.randn(2, 8, 5, 6)
    whole = trace(layer, x)
    left = sum((whole[f"{half}_output"] for half in HALVES if half not in off), torch.zeros(2, 4, 30, 2))
    with switched(layer, {"": off}):
        switched_off = layer(x)
        assert trace(layer, x).keys().isdisjoint(f"{half}_output" for half in off)
    torch.testing.assert_close(switched_off, left.transpose(2, 3).reshape(2, 8, 5, 6))
    torch.testing.assert_close(layer(x), whole["output"])


@torch.no_grad()
def test_only_the_named_layer_is_switched(network):
    x = torch.randn(1, 3, 64, 64)
    whole = trace(network, x)
    with switched(network, {PATH: ["position"]}):
        without = trace(network, x)
    earlier, later = "stages.2.1.mix.output", f"{PATH}.output"
    torch.testing.assert_close(without[earlier], whole[earlier])
    assert not torch.allclose(without[later], whole[later])
    assert f"{PATH}.position_output" not in without and f"{PATH}.content_output" in without


@torch.no_grad()
def test_a_half_of_which_the_embeddings_are_zero_is_no_loss(network):
    """Negative control: what gives nothing can be switched off without a change."""
    layer, x = network.get_submodule(PATH), torch.randn(1, 3, 64, 64)
    kept = layer.embeddings.detach().clone()
    layer.embeddings.zero_()
    with switched(network, {PATH: ["position"]}):
        without = network(x)
    torch.testing.assert_close(network(x), without)
    layer.embeddings.copy_(kept)


def test_switches_come_back_after_an_error(network):
    off = dict.fromkeys(halves(network), HALVES)
    with pytest.raises(RuntimeError, match="stop"), switched(network, off):
        raise RuntimeError("stop")
    assert all(getattr(network.get_submodule(path), half) for path in off for half in HALVES)


def test_switches_nest(network):
    with switched(network, {PATH: ["content"]}):
        with switched(network, {PATH: HALVES}):
            pass
        assert not network.get_submodule(PATH).content and network.get_submodule(PATH).position
    assert network.get_submodule(PATH).content


@pytest.mark.parametrize(
    ("off", "words"), [({"stem": ["content"]}, "no lambda layer"), ({PATH: ["both"]}, "no half 'both'")]
)
def test_what_is_not_there_is_said(network, off, words):
    with pytest.raises(ValueError, match=words), switched(network, off):
        pass
    assert all(there == HALVES for there in halves(network).values())
