"""E cropped for a moment: the same as a layer of that scope, and everything comes back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lambda_core import LambdaLayer, LambdaLayer1d
from lambda_core.models import build
from lambda_core.surgery import cropped_scope, rim_zeroed

LAYERS = {
    "plain": {"scope": 7},
    "bias": {"scope": 7, "position_bias": True},
    "intra_depth": {"scope": 7, "dim_u": 2},
    "strided": {"scope": 7, "stride": 2},
    "position_only": {"scope": 7, "content": False},
    "global": {"scope": None, "size": (6, 5)},
}


def randomised(**options):
    torch.manual_seed(0)
    layer = LambdaLayer(8, heads=2, dim_k=4, **options).eval()
    torch.nn.init.normal_(layer.embeddings)
    if layer.position_bias is not None:
        torch.nn.init.normal_(layer.position_bias)
    return layer


@torch.no_grad()
@pytest.mark.parametrize("scope", [1, 3, 5])
@pytest.mark.parametrize("name", LAYERS)
def test_a_cropped_layer_is_a_layer_of_that_scope(name, scope):
    layer = randomised(**LAYERS[name])
    small = LambdaLayer(8, heads=2, dim_k=4, **{**LAYERS[name], "scope": scope, "size": None}).eval()
    state = layer.state_dict()
    rows, columns = layer.embeddings.shape[-2:]
    top, left = (rows - scope) // 2, (columns - scope) // 2
    state["embeddings"] = state["embeddings"][..., top : top + scope, left : left + scope]
    small.load_state_dict(state)
    x = torch.randn(2, 8, 6, 5)
    with cropped_scope(layer, scope) as paths:
        torch.testing.assert_close(layer(x), small(x))
    assert paths == [""]
    assert not torch.allclose(layer(x), small(x))


@torch.no_grad()
@pytest.mark.parametrize("scope", [1, 3, 5])
@pytest.mark.parametrize("options", [{"scope": 7, "dim_u": 8}, {"scope": None, "size": 9}], ids=["local", "global"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_cropped_layer_on_sequences_is_one_of_that_scope(causal, options, scope):
    torch.manual_seed(0)
    layer = LambdaLayer1d(8, heads=2, dim_k=4, causal=causal, **options).eval()
    torch.nn.init.normal_(layer.embeddings)
    small = LambdaLayer1d(8, heads=2, dim_k=4, causal=causal, **{**options, "scope": scope, "size": None}).eval()
    table, count = layer.embeddings, small.embeddings.shape[-1]
    first = table.shape[-1] - count if causal else (table.shape[-1] - count) // 2
    small.load_state_dict(layer.state_dict() | {"embeddings": table[..., first : first + count]})
    x = torch.randn(2, 8, 9)
    with cropped_scope(layer, scope) as paths:
        torch.testing.assert_close(layer(x), small(x))
    assert paths == [""] and layer.embeddings is table
    whole = layer(x)
    with cropped_scope(layer, 2 * table.shape[-1] - 1 if causal else table.shape[-1]) as paths:
        assert torch.equal(layer(x), whole) and paths == []


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 6))
@settings(deadline=None, max_examples=40)
def test_what_is_left_of_a_table(rows, columns, half):
    table = torch.ones(2, 1, 2 * rows - 1, 2 * columns - 1)
    cropped = rim_zeroed(table, 2 * half + 1)
    dy = (torch.arange(2 * rows - 1) - rows + 1).abs()[:, None]
    dx = (torch.arange(2 * columns - 1) - columns + 1).abs()
    assert torch.equal(cropped[1, 0], ((dy <= half) & (dx <= half)).float())


def test_everything_comes_back_also_after_an_error():
    model = build("lambda_resnet_mini", num_classes=3).eval()
    before = dict(model.named_parameters())
    values = {name: parameter.detach().clone() for name, parameter in before.items()}

    def fails():
        with cropped_scope(model, 3) as paths:
            assert len(paths) == 4
            assert all(model.get_submodule(path).embeddings[..., 0, :].abs().max() == 0 for path in paths)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fails()
    after = dict(model.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    assert all(torch.equal(after[name], value) for name, value in values.items())


def test_gradients_flow_to_what_is_left():
    layer = randomised(scope=5)
    x = torch.randn(1, 8, 5, 5, requires_grad=True)
    with cropped_scope(layer, 3):
        layer(x).sum().backward()
        inside = layer.embeddings.grad
    assert x.grad.abs().sum() > 0
    assert (inside[..., 1:4, 1:4] != 0).all()
    assert layer.embeddings.grad is None  # the trained table is not touched


def test_a_scope_as_large_as_the_table_changes_nothing():
    layer = randomised(scope=5)
    x = torch.randn(1, 8, 6, 6)
    expected = layer(x)
    for scope in (5, 7, 99):
        with cropped_scope(layer, scope) as paths:
            torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)
        assert paths == []


def test_layers_without_a_position_part_stay():
    layer = LambdaLayer(8, heads=2, dim_k=4, position=False).eval()
    with cropped_scope(layer, 3) as paths:
        assert paths == [] and layer.embeddings is None


@pytest.mark.parametrize("scope", [0, 2, -3])
def test_a_scope_that_is_none_is_refused(scope):
    layer = randomised(scope=5)
    table = layer.embeddings
    with pytest.raises(ValueError, match="odd positive integer"), cropped_scope(layer, scope):
        pass
    assert layer.embeddings is table
