"""LambdaLayer1d against the definition, what a causal layer may see, and masks on maps and sequences."""

import pytest
import torch

from lambda_core import engines
from lambda_core.cost import profile
from lambda_core.engines import ENGINES
from lambda_core.functional import KEY_NORMS
from lambda_core.layers import LambdaLayer, LambdaLayer1d
from lambda_core.tracing import trace
from tests.definition import by_definition, identity
from tests.peers import randomize


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n", [1, 4, 7])
@pytest.mark.parametrize(
    "options",
    [
        {"scope": 3, "dim_u": 2, "position_bias": True},
        {"scope": None, "size": 7},
        {"scope": 3, "content": False},
        {"position": False},
        *({"scope": 5, "key_norm": key_norm} for key_norm in KEY_NORMS),
    ],
    ids=str,
)
def test_1d_against_the_definition(causal, n, options):
    layer = randomize(LambdaLayer1d(6, dim_k=3, heads=2, causal=causal, **options))
    x = torch.randn(2, 6, n, dtype=torch.float64)
    torch.testing.assert_close(layer(x), by_definition(layer, x, (1, n), identity), rtol=0, atol=1e-10)


def test_causal_output_ignores_the_future():
    layer = randomize(LambdaLayer1d(4, dim_k=2, heads=2, scope=5, causal=True))
    x = torch.randn(1, 4, 80, dtype=torch.float64)
    changed = torch.cat([x[..., :50], torch.randn(1, 4, 30, dtype=torch.float64)], -1)
    assert torch.equal(layer(x)[..., :50], layer(changed)[..., :50])
    assert not torch.allclose(layer(x)[..., 50:], layer(changed)[..., 50:])


@pytest.mark.parametrize("norm_qv", [True, False])
def test_in_training_batch_norm_sees_the_future(norm_qv):
    """As its docstring says, and without it nothing does."""
    layer = randomize(LambdaLayer1d(4, dim_k=2, heads=2, scope=5, causal=True, norm_qv=norm_qv)).train()
    x = torch.randn(2, 4, 20, dtype=torch.float64)
    changed = torch.cat([x[..., :10], torch.randn(2, 4, 10, dtype=torch.float64)], -1)
    assert torch.allclose(layer(x)[..., :10], layer(changed)[..., :10]) != norm_qv


def test_1d_shapes_and_parameters():
    layer = LambdaLayer1d(6, 8, dim_k=3, heads=2, scope=7, causal=True, stride=2)
    assert layer(torch.randn(2, 6, 5)).shape == (2, 8, 3)
    assert layer.embeddings.shape == (3, 1, 4)  # offsets -3 to 0
    layer(torch.randn(2, 6, 5)).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    assert LambdaLayer1d(6, scope=None, size=9, heads=2).embeddings.shape == (16, 1, 17)
    assert LambdaLayer1d(6, scope=None, size=9, heads=2, causal=True).embeddings.shape == (16, 1, 9)
    traced = trace(LambdaLayer1d(6, dim_k=3, heads=2, scope=3, causal=True), torch.randn(2, 6, 5))
    assert traced["keys"].shape == (2, 5, 5, 3, 1)
    torch.testing.assert_close(traced["keys"].sum(2), torch.ones(2, 5, 3, 1))
    assert traced["content_lambda"].shape == (2, 5, 3, 3)
    assert traced["input"].shape == traced["output"].shape == (2, 6, 5)


@pytest.mark.parametrize("key_norm", KEY_NORMS)
@pytest.mark.parametrize("causal", [None, False, True], ids=["map", "sequence", "causal"])
def test_a_mask_leaves_positions_out(causal, key_norm):
    """One example whole, one padded at its end, one with nothing to see, one padded at its beginning."""
    options = {"dim_k": 3, "heads": 2, "scope": 5, "dim_u": 2, "key_norm": key_norm}
    size = (3, 4) if causal is None else (1, 12)
    layer = randomize(LambdaLayer(6, **options) if causal is None else LambdaLayer1d(6, causal=causal, **options))
    x = torch.randn(4, 6, *size, dtype=torch.float64).flatten(2 if causal is not None else -1)
    known = torch.ones(4, 12, dtype=torch.bool)
    known[1, 7:] = known[2] = known[3, :5] = False
    mask = known.view(4, *x.shape[2:])
    expected = by_definition(layer, x, size, identity, known)
    torch.testing.assert_close(layer(x, mask=mask), expected, rtol=0, atol=1e-10)
    for engine in ENGINES:
        layer.engine = engine
        torch.testing.assert_close(layer(x, mask=mask), expected, rtol=0, atol=1e-10)
    padded = x.masked_fill(~mask[:, None], float("nan"))  # whatever stands there
    seen = mask[:, None].expand_as(expected)
    torch.testing.assert_close(layer(padded, mask=mask)[seen], expected[seen], rtol=0, atol=1e-10)
    torch.testing.assert_close(layer(x, mask=mask[:1]), layer(x))
    assert (layer(x, mask=mask)[2] == 0).all()
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", dtype):
            assert layer.float()(x.float(), mask=mask).isfinite().all()


def test_gradients_with_a_mask_stay_finite():
    layer = LambdaLayer1d(8, scope=5, causal=True)
    x = torch.randn(2, 8, 40, requires_grad=True)
    known = torch.arange(40) >= torch.tensor([[0], [35]])  # padded on the left, beyond the first chunk of keys
    (layer(x, mask=known) * known[:, None]).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters()) and x.grad.isfinite().all()
    assert (x.grad[0] != 0).any()


@pytest.mark.parametrize("first", [0, 3, 40])
def test_second_derivatives_of_a_causal_layer_are_finite(first):
    """Also those of one output, where the others have no gradient, and where the first positions are hidden."""
    layer = LambdaLayer1d(8, heads=2, dim_k=4, scope=7, causal=True).eval()
    x = torch.randn(2, 8, 50, requires_grad=True)
    y = layer(x, mask=(torch.arange(50) >= first).expand(2, -1))
    (slope,) = torch.autograd.grad(y[..., -1].square().sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.square().sum(), x)
    assert bend.isfinite().all() and (bend[..., first:].abs().amax(1) > 0).all()


@pytest.mark.parametrize("mask", [torch.ones(2, 5), torch.ones(2, 4) > 0, torch.ones(3, 5) > 0, torch.ones(5) > 0])
def test_masks_that_do_not_fit(mask):
    with pytest.raises(ValueError, match=r"^mask must be a bool tensor \(b, n\) = \(2, 5\) of the context, not "):
        LambdaLayer1d(8)(torch.randn(2, 8, 5), mask=mask)


@pytest.mark.parametrize(
    ("layer", "sides"),
    [
        (LambdaLayer1d(8, scope=7, causal=True), (9,)),
        (LambdaLayer1d(8, scope=None, size=9, dim_u=2, causal=True), (6,)),
        (LambdaLayer1d(8, scope=7), (9,)),
        (LambdaLayer(8, scope=5), (4, 6)),
    ],
)
def test_costs_ask_for_the_engine_that_the_layer_takes(layer, sides, monkeypatch):
    """A causal layer has half a table, and fills it up before an engine sees it."""
    select, asked = engines.select, []

    def recorded(*shapes):
        asked.append(shapes[:4])
        return select(*shapes)

    monkeypatch.setattr(engines, "select", recorded)
    layer(torch.randn(3, 8, *sides))
    (taken,) = asked
    assert (*layer.shapes(3, taken[3]), taken[3]) == taken
    profile(layer, sides, channels=8, batch=3)
    assert taken in asked[1:]
