"""torch.compile takes a layer whole, and gives the same output and gradients; memory formats go in and come out."""

import shutil

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from lambda_core import LambdaLayer, LambdaLayer1d
from lambda_core.engines import ENGINES
from lambda_core.layers import LAYERS
from lambda_core.layers.pooling import AveragePool2d, average


@pytest.fixture(autouse=True)
def fresh_dynamo():
    """Each compiled layer counts against the limit of recompilations of one forward."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def results(run, layer, x):
    y = run(x)
    torch.manual_seed(2)
    return y, *torch.autograd.grad(y, [x, *layer.parameters()], torch.randn_like(y))


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_one_graph_and_the_same_gradients(engine):
    torch.manual_seed(0)
    layer = LambdaLayer(8, dim_k=4, heads=2, scope=5, engine=engine).double()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for shape in ((2, 8, 6, 5), (3, 8, 6, 5)) if engine == "auto" else ((2, 8, 6, 5),):  # the second: symbolic batch
        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for found, expected in zip(results(compiled, layer, x), results(layer, layer, x), strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_one_graph_in_mixed_precision(engine):
    torch.manual_seed(0)
    layer, x = LambdaLayer(8, dim_k=4, heads=2, scope=5, engine=engine), torch.randn(2, 8, 6, 5)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(compiled(x), layer(x), rtol=2e-2, atol=2e-2)


def test_other_layers_are_one_graph_too():
    torch.manual_seed(0)
    for layer, shape in (
        (LambdaLayer(8, dim_k=4, heads=2, scope=None, size=(6, 6), stride=2), (2, 8, 6, 5)),
        (LambdaLayer1d(8, dim_k=4, heads=2, scope=5, causal=True), (2, 8, 11)),
    ):
        x = torch.randn(shape, requires_grad=True)
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), layer(x))


@pytest.mark.parametrize("letter", LAYERS)
def test_every_letter_is_one_graph(letter):
    torch.manual_seed(0)
    layer, x = LAYERS[letter](16, 32, stride=2).double(), torch.randn(2, 16, 7, 5, dtype=torch.float64)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x.requires_grad_()
    for found, expected in zip(results(compiled, layer, x), results(layer, layer, x), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("engine", sorted(set(ENGINES) - {"einsum"}))
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_memory_format_stays(engine, layout):
    torch.manual_seed(0)
    layer = LambdaLayer(16, dim_k=4, scope=5, engine=engine).to(memory_format=layout)
    x = torch.randn(2, 16, 6, 5).contiguous(memory_format=layout).requires_grad_()
    y = layer(x)
    assert y.is_contiguous(memory_format=layout)
    y.square().sum().backward()
    assert x.grad.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("engine", ["auto", "einsum"])
def test_an_exported_layer_takes_any_batch(engine, strict):
    layer = LambdaLayer(16, scope=5, dim_k=4, heads=2, engine=engine).eval()
    sizes = ({0: torch.export.Dim("batch", min=2, max=64)},)
    program = torch.export.export(layer, (torch.randn(4, 16, 6, 7),), dynamic_shapes=sizes, strict=strict).module()
    for batch in (2, 7):
        x = torch.randn(batch, 16, 6, 7)
        torch.testing.assert_close(program(x), layer(x), rtol=1e-4, atol=1e-5)


def test_no_graph_breaks_at_changing_lengths():
    layer = LambdaLayer1d(8, dim_k=3, heads=2, scope=3, causal=True)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    for length in (5, 40):
        x = torch.randn(2, 8, length)
        torch.testing.assert_close(compiled(x), layer(x))


def test_maps_of_many_sizes_are_compiled_few_times():
    """For the first size, and for all others: the choice of the engine does not ask for each."""
    layer, count = LambdaLayer(8, dim_k=3, heads=2, scope=5).eval(), CompileCounter()
    compiled = torch.compile(layer, backend=count, fullgraph=True)
    for side in range(4, 15):
        x = torch.randn(2, 8, side, side + 3)
        torch.testing.assert_close(compiled(x), layer(x))
    assert count.frame_count <= 3


needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler"
)


@pytest.mark.long
@needs_compiler
@pytest.mark.parametrize("layer", [AveragePool2d(2, ceil_mode=True), LAYERS["Z"](8).eval()])
def test_gradients_compiled_to_machine_code(layer):
    """Inductor's own gradient of an average that is rounded up is wrong, and that of a padding by the edge ends."""
    x = torch.randn(2, 8, 5, 7, requires_grad=True)
    expected = results(layer, layer, x)
    found = results(torch.compile(layer, fullgraph=True, dynamic=False, options={"compile_threads": 1}), layer, x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sides", [(5,), (7, 4), (1, 6), (6, 6)])
@pytest.mark.parametrize("stride", [2, 3])
def test_an_average_that_is_rounded_up(sides, stride):
    x = torch.randn(2, 3, *sides, dtype=torch.float64)
    pool = (nn.AvgPool1d if len(sides) == 1 else nn.AvgPool2d)(stride, ceil_mode=True)
    torch.testing.assert_close(average(x, len(sides), stride), pool(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("how", ["jit", "export", "aot_eager"])
def test_the_gradient_of_one_example_in_a_graph(how):
    layer = LambdaLayer(16, position=False).eval()
    x, dy = torch.randn(1, 16, 6, 6, requires_grad=True), torch.randn(1, 16, 6, 6)
    (expected,) = torch.autograd.grad(layer(x), x, dy)
    if how == "jit":
        graph = torch.jit.trace(layer, x)
        batch = torch.randn(3, 16, 6, 6)
        torch.testing.assert_close(graph(batch), layer(batch))
    else:
        graph = torch.export.export(layer, (x,)).module() if how == "export" else torch.compile(layer, backend=how)
    (found,) = torch.autograd.grad(graph(x), x, dy)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@needs_compiler
def test_compiled_to_machine_code():
    layer = LambdaLayer(8, dim_k=3, heads=2, scope=3).eval()
    x = torch.randn(2, 8, 5, 4)
    compiled = torch.compile(layer, fullgraph=True, dynamic=False, options={"compile_threads": 1})
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), layer(x))
