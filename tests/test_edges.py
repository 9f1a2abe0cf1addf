"""What a lambda layer takes at its edges: no example, one, no positions, second derivatives, torch.func."""

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

from lambda_core import LambdaLayer, LambdaLayer1d, build, trace
from lambda_core.engines import ENGINES
from lambda_core.layers import LAYERS


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def layer(engine="auto", **options):
    return LambdaLayer(4, **{"dim_k": 3, "heads": 2, "scope": 3, "engine": engine, **options}).double().eval()


def image(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("letter", LAYERS)
def test_an_empty_batch(letter):
    """A detector may find nothing: the output is empty too, and the gradients are zero."""
    module, x = LAYERS[letter](16, 32, stride=2), torch.randn(0, 16, 5, 6, requires_grad=True)
    y = module(x)
    assert y.shape == module.eval()(x).shape == (0, 32, 3, 3)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert not any(p.grad is not None and p.grad.any() for p in module.parameters())  # PyTorch's attention gives none


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_take_an_empty_batch(engine):
    tensors = [image(*shape).requires_grad_() for shape in ((0, 2, 6, 3), (0, 6, 2, 1), (3, 1, 3, 3), (0, 3, 2))]
    q, v, table, content = tensors
    y = ENGINES[engine](q, v, table, (2, 3), content)
    assert y.shape == (0, 2, 6, 2)
    for gradient, tensor in zip(torch.autograd.grad(y.sum(), tensors), tensors, strict=True):
        assert torch.equal(gradient, torch.zeros_like(tensor))


def test_a_network_and_a_trace_take_an_empty_batch():
    model, x = build("lambda_resnet_mini", num_classes=3).eval(), torch.randn(0, 3, 32, 32)
    assert model(x).shape == (0, 3)
    assert trace(model, x)["stages.2.0.mix.position_lambda"].shape == (0, 16, 16, 32)
    assert LambdaLayer1d(4, heads=2, scope=3, causal=True)(torch.randn(0, 4, 5)).shape == (0, 4, 5)


@pytest.mark.parametrize("batch", [1, 2])
def test_second_derivatives_of_a_layer(batch):
    """All of it, projections and norms too; a gradient that is not there is passed on as none."""
    assert torch.autograd.gradgradcheck(layer(stride=2), image(batch, 4, 3, 2).requires_grad_())
    causal = LambdaLayer1d(4, dim_k=2, heads=2, scope=3, causal=True).double().eval()
    assert torch.autograd.gradgradcheck(causal, image(batch, 4, 4).requires_grad_())


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # PyTorch's own forward derivatives are scripted
@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_the_transforms_of_torch_func_and_forward_mode(engine):
    """torch.func.jvp once saw nothing of an engine, and gave another answer."""
    module, x = layer(engine), image(3, 4, 5, 3)
    weights = dict(module.named_parameters())

    def loss(weights, example):
        return torch.func.functional_call(module, weights, (example[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x)
    for i, example in enumerate(x):
        expected = torch.autograd.grad(loss(weights, example), list(weights.values()))
        torch.testing.assert_close([each[name][i] for name in weights], list(expected))

    y, along = torch.func.jvp(module, (x,), (direction := torch.randn_like(x),))
    torch.testing.assert_close(y, module(x))
    step = 1e-6 * direction
    torch.testing.assert_close(along, (module(x + step) - module(x - step)) / 2e-6, rtol=1e-5, atol=1e-6)
    with forward_ad.dual_level():
        y, tangent = forward_ad.unpack_dual(module(forward_ad.make_dual(x, direction)))
    torch.testing.assert_close((y, tangent), (module(x), along))


@pytest.mark.parametrize("letter", LAYERS)
@pytest.mark.parametrize("shape", [(2, 15, 4, 4), (16, 4, 4), (2, 16, 0, 4), (2, 16)], ids=str)
def test_inputs_that_are_no_map(letter, shape):
    with pytest.raises(ValueError, match=" takes ") as caught:
        LAYERS[letter](16)(torch.zeros(shape))
    assert str(caught.value) == f"{LAYERS[letter].__name__} takes (b, 16, H, W), not {shape}"


def test_sequences_without_a_position():
    with pytest.raises(ValueError, match=r"^LambdaLayer1d takes \(b, 16, n\), not \(2, 16, 0\)$"):
        LambdaLayer1d(16)(torch.zeros(2, 16, 0))


@pytest.mark.parametrize("letter", LAYERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 0}, "^dim(_out)? must be at least 1, not 0$"),
        ({"dim_out": -8}, "^dim_out must be at least 1, not -8$"),
        ({"stride": 0}, "^stride must be at least 1, not 0$"),
        ({"dim": 16.0}, r"^dim(_out)? must be an integer, not 16\.0$"),
    ],
    ids=str,
)
def test_counts_that_are_none(letter, arguments, message):
    with pytest.raises(ValueError, match=message):
        LAYERS[letter](**{"dim": 16, **arguments})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LambdaLayer(8, scope=3.0), r"^scope must be an odd positive integer, or None for global, not 3\.0$"),
        (lambda: LambdaLayer(8, scope="global"), "^scope must be an odd positive integer, .* not 'global'$"),
        (lambda: LambdaLayer(8, scope=None, size=14), r"^a global scope \(scope=None\) needs size=\(H, W\), .*=14$"),
        (lambda: LambdaLayer(8, scope=None, size=(4, 2.5)), r"needs size=\(H, W\), .* not size=\(4, 2\.5\)$"),
        (lambda: LambdaLayer1d(8, scope=None, size=(4, 4)), r"needs size=n, .* not size=\(4, 4\)$"),
        (lambda: LAYERS["X"](8, size=14), r"^size must be \(H, W\), two positive integers, not 14$"),
        (lambda: LAYERS["A"](16, size=(4, 4.0)), r"^size must be \(H, W\), two positive integers, not \(4, 4\.0\)$"),
        (lambda: LAYERS["R"](8, window=3.0), r"^window must be an odd positive integer, not 3\.0$"),
    ],
)
def test_sizes_that_are_none(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sizes_that_are_integers_of_others():
    """As numpy has them, and a layer's own `size`."""
    assert LambdaLayer(np.int64(8), scope=np.int64(5)).embeddings.shape[2:] == (5, 5)
    long = LambdaLayer1d(8, scope=None, size=9)
    assert LambdaLayer1d(8, scope=None, size=long.size).embeddings.shape == long.embeddings.shape


@pytest.mark.parametrize("options", [{"scope": 5}, {"scope": None, "size": (5, 5)}, {"position": False}])
def test_vmap_takes_a_layer_as_it_is(options):
    layer = LambdaLayer(16, dim_k=4, heads=2, **options).eval()
    x = torch.randn(3, 2, 16, 5, 5)
    torch.testing.assert_close(torch.func.vmap(layer)(x), torch.stack([layer(each) for each in x]))


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_a_traced_layer_computes_the_same(engine):
    module = layer(engine)
    traced, x = torch.jit.trace(module, image(2, 4, 5, 3)), image(2, 4, 5, 3)
    torch.testing.assert_close(traced(x), module(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("engine", ["auto", *ENGINES])
@pytest.mark.parametrize("half", ["content", "position"])
def test_a_traced_layer_of_one_half_takes_any_batch(engine, half):
    module = layer(engine, **{half: False})
    traced, x = torch.jit.trace(module, image(2, 4, 5, 3)), image(5, 4, 5, 3)
    torch.testing.assert_close(traced(x), module(x))
