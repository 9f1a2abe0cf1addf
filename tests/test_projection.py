"""Three projections in one pass give what three convolutions give, in value, gradient and second derivative."""

import pytest
import torch

from lambda_core import LambdaLayer
from lambda_core.engines import projection


def convolutions(x, weights):
    return [torch.nn.functional.conv2d(x, w) for w in weights]


def problem(dtype, b=2, d=5, size=(3, 4)):
    torch.manual_seed(0)
    shapes = [(b, d, *size), *((c, d, 1, 1) for c in (6, 1, 3))]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "d", "size"), [(torch.float64, 5, (3, 4)), (torch.float32, 96, (40, 41))])
def test_it_is_three_convolutions(dtype, d, size, layout):
    """The larger one goes to oneDNN where that is faster, and is worked off in pieces."""
    x, *weights = problem(dtype, d=d, size=size)
    x = x.detach().contiguous(memory_format=layout).requires_grad_()
    found, expected = projection.project(x, weights), convolutions(x, weights)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    assert all(y.is_contiguous(memory_format=torch.channels_last) for y in found)
    directions = [torch.randn_like(y) for y in expected]
    for one, other in zip(
        torch.autograd.grad(found, [x, *weights], directions),
        torch.autograd.grad(expected, [x, *weights], directions),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_bfloat16_under_autocast(layout):
    """As near to float64 as three convolutions are, and gradients in the parameters' own type."""
    x, *weights = problem(torch.float32, d=24, size=(20, 21))
    x = x.detach().contiguous(memory_format=layout).requires_grad_()
    exact = convolutions(x.double(), [w.double() for w in weights])
    directions = [torch.randn_like(y) for y in exact]
    exact += torch.autograd.grad(exact, [x, *weights], directions)
    with torch.autocast("cpu", torch.bfloat16):
        assert projection.fits(x, weights) == projection.narrows(torch.bfloat16, x.device)
        found, theirs = projection.project(x, weights), convolutions(x, weights)
    for ys in (found, theirs):
        assert {y.dtype for y in ys} == {torch.bfloat16}
        ys += torch.autograd.grad(ys, [x, *weights], [d.bfloat16() for d in directions])
    for y, z, true in zip(found, theirs, exact, strict=True):
        assert y.dtype == z.dtype
        assert (y - true).norm() < 1.1 * (z - true).norm() + 1e-6


@pytest.mark.parametrize("affine", [True, False])
def test_norms_are_taken_along(affine):
    torch.manual_seed(0)
    x, *weights = (t.detach() for t in problem(torch.float32))
    norms = [torch.nn.BatchNorm2d(6, affine=affine), torch.nn.Identity(), torch.nn.BatchNorm2d(3, affine=affine)]
    for norm, y in zip(norms, convolutions(x, weights), strict=True):
        for p in norm.parameters():
            torch.nn.init.normal_(p)
        norm(3 * y + 1)
        norm.eval()
    expected = [norm(y) for norm, y in zip(norms, convolutions(x, weights), strict=True)]
    torch.testing.assert_close(projection.project_normed(x, weights, norms), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("why", ["", "training", "gradient", "hook", "another norm", "no statistics"])
def test_norms_are_taken_along_only_where_nobody_can_tell(monkeypatch, why):
    torch.manual_seed(0)
    layer, x, calls = LambdaLayer(8, dim_k=4, scope=3).eval(), torch.randn(2, 8, 4, 4), []
    if why == "training":
        layer.train()
    elif why == "hook":
        layer.norm_v.register_forward_hook(lambda *_: None)
    elif why == "another norm":
        layer.norm_q = torch.nn.GroupNorm(1, 16)
    elif why == "no statistics":
        layer.norm_q = torch.nn.BatchNorm2d(16, track_running_stats=False)
    expected = layer(x).detach()
    run = projection.project_normed
    monkeypatch.setattr(projection, "project_normed", lambda *a: calls.append(a) or run(*a))
    with torch.set_grad_enabled(why == "gradient"):
        torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    assert bool(calls) == (not why)


def test_gradients_of_gradients():
    def run(x, *weights):
        return [projection.channels_first(y) for y in projection.project(x, list(weights))]

    tensors = problem(torch.float64, d=2, size=(2, 2))
    assert torch.autograd.gradcheck(run, tensors)
    assert torch.autograd.gradgradcheck(run, tensors)


def test_channels_first_changes_the_order_in_memory_alone():
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    y = projection.channels_first(x)
    assert y.is_contiguous()
    assert torch.equal(y, x)


def used(monkeypatch, layer, x):
    calls = []
    monkeypatch.setattr(projection, "project", lambda x, w: calls.append(w) or convolutions(x, w))
    layer(x)
    return bool(calls)


def test_a_hook_on_a_projection_is_called(monkeypatch):
    layer, x, seen = LambdaLayer(8, dim_k=4, scope=3), torch.randn(2, 8, 4, 4), []
    assert used(monkeypatch, layer, x)
    layer.to_k.register_forward_hook(lambda _m, _a, y: seen.append(y))
    assert not used(monkeypatch, layer, x)
    assert len(seen) == 1


def test_a_forward_in_place_of_a_projections_own_is_called():
    layer, x = LambdaLayer(16, scope=3).eval(), torch.randn(3, 16, 6, 6)
    expected = layer(x)
    own = layer.to_q.forward
    layer.to_q.forward = lambda y: own(y) * 0  # as libraries do that move weights about
    assert expected.any() and not layer(x).any()


@pytest.mark.parametrize("why", ["double", "a view", "one example", "another module"])
def test_what_does_not_fit_takes_the_modules(monkeypatch, why):
    layer, x = LambdaLayer(8, dim_k=4, scope=3), torch.randn(2, 8, 4, 4)
    if why == "double":
        layer, x = layer.double(), x.double()
    elif why == "a view":
        x = x.transpose(2, 3)
    elif why == "one example":
        x = x[:1]
    else:
        layer.to_q = torch.nn.Sequential(layer.to_q)
    assert not used(monkeypatch, layer, x)


def test_parametrized_weights_count(monkeypatch):
    """A weight that is computed, as by torch.nn.utils.parametrize, is the one that is used."""
    torch.manual_seed(0)
    layer, x = LambdaLayer(8, dim_k=4, scope=3).eval(), torch.randn(2, 8, 4, 4)
    before = layer(x)
    torch.nn.utils.parametrizations.weight_norm(layer.to_v)
    torch.testing.assert_close(layer(x), before)
    with torch.no_grad():
        layer.to_v.parametrizations.weight.original0.mul_(2)
    assert not torch.allclose(layer(x), before)


def test_many_gradients_at_once():
    layer, x = LambdaLayer(4, heads=2, dim_k=2, scope=3).eval(), torch.randn(2, 4, 3, 2)
    one_by_one = torch.autograd.functional.jacobian(layer, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(layer, x, vectorize=True), one_by_one)


def test_another_convolution_in_place_of_a_projection():
    layer = LambdaLayer(8, scope=3, engine="einsum").eval()
    layer.to_v = torch.nn.Conv2d(8, layer.to_v.out_channels, 3, padding=1, bias=False)
    x = torch.randn(3, 8, 5, 6)
    torch.testing.assert_close(layer(x), torch.cat([layer(one[None]) for one in x]), rtol=1e-4, atol=1e-5)


def test_a_hook_on_all_modules_sees_the_projections():
    layer, seen = LambdaLayer(8, scope=3), []
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module))
    try:
        layer(torch.randn(3, 8, 4, 4))
    finally:
        handle.remove()
    assert {layer.to_q, layer.to_k, layer.to_v} <= set(seen)
