"""Every engine gives what the definition gives, and `auto` picks one for a reason."""

import json
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lambda_core.benchmark.measuring import peak_bytes
from lambda_core.engines import (
    ENGINES,
    attention,
    auto,
    convolution,
    einsum,
    explain,
    fft,
    gemm,
    matmul,
    measure,
    select,
    toeplitz,
)
from lambda_core.functional import lambda_layer
from lambda_core.positions import gather

FAST = sorted(set(ENGINES) - {"einsum"})


def problem(b, h, k, values, u, table, size, content=False):
    """q, v, the table, and with `content` the content lambda."""
    own = torch.Generator().manual_seed(0)
    n = size[0] * size[1]
    shapes = [(b, h, n, k), (b, n, values, u), (k, u, *table)] + [(b, k, values)] * content
    return [torch.randn(shape, dtype=torch.float64, generator=own, requires_grad=True) for shape in shapes]


def engine(name, size):
    """As a function of what `problem` gives."""
    return lambda q, v, table, *content: ENGINES[name](q, v, table, size, *content)


def results(name, tensors, size):
    """Output and gradients, under a fixed random direction."""
    y = engine(name, size)(*tensors)
    own = torch.Generator().manual_seed(1)  # the shared one is drawn from by threads that earlier tests left behind
    return y, *torch.autograd.grad(y, tensors, torch.randn(y.shape, dtype=y.dtype, generator=own))


@pytest.mark.parametrize("name", FAST)
@settings(max_examples=15, deadline=None)
@given(
    b=st.integers(1, 2),
    h=st.integers(1, 3),
    k=st.integers(1, 3),
    values=st.integers(1, 3),
    u=st.integers(1, 3),
    table=st.tuples(st.sampled_from([1, 3, 5, 11]), st.sampled_from([1, 3, 5, 11])),
    size=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    content=st.booleans(),
)
def test_output_and_gradients_agree(name, b, h, k, values, u, table, size, content):
    tensors = problem(b, h, k, values, u, table, size, content)
    for found, expected in zip(results(name, tensors, size), results("einsum", tensors, size), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_einsum_is_the_definition():
    """With keys that normalise to zero, lambda_layer has its position part alone."""
    q, v, table = problem(2, 3, 2, 3, 2, (5, 3), (4, 3))
    embeddings = gather(table, (4, 3)).permute(2, 3, 0, 1)
    expected = lambda_layer(q, torch.zeros(2, 12, 2, 2, dtype=torch.float64), v, embeddings, key_norm="none")
    torch.testing.assert_close(ENGINES["einsum"](q, v, table, (4, 3)), expected)


@pytest.mark.parametrize("name", ENGINES)
def test_the_content_lambda_adds_what_it_gives_alone(name):
    q, v, table, content = problem(2, 3, 2, 3, 2, (5, 3), (4, 3), content=True)
    expected = ENGINES["einsum"](q, v, table, (4, 3)) + q @ content[:, None]
    torch.testing.assert_close(ENGINES[name](q, v, table, (4, 3), content), expected)


@pytest.mark.parametrize("name", ENGINES)
def test_a_flipped_table_is_noticed(name):
    q, v, table = problem(1, 1, 2, 2, 1, (3, 3), (4, 4))
    assert not torch.allclose(
        ENGINES[name](q, v, table, (4, 4)), ENGINES["einsum"](q, v, table.flip(-2, -1), (4, 4)), atol=0.1
    )


@pytest.mark.parametrize("name", ENGINES)
def test_gradcheck(name):
    tensors = problem(1, 2, 2, 1, 2, (3, 5), (2, 3), content=True)
    assert torch.autograd.gradcheck(engine(name, (2, 3)), tensors)


@pytest.mark.parametrize("name", FAST)
def test_second_derivatives(name):
    tensors = problem(1, 2, 1, 2, 2, (3, 5), (2, 3), content=True)
    assert torch.autograd.gradgradcheck(engine(name, (2, 3)), tensors)


@pytest.mark.parametrize("name", FAST)
def test_second_derivatives_within_autocast(name):
    """As a gradient penalty takes them, whose whole step is in the block: an engine is computed as it is outside."""
    tensors = [t.detach().float().requires_grad_() for t in problem(1, 2, 4, 3, 1, (3, 5), (4, 5), content=True)]
    found = []
    for inside in (True, False):
        y = engine(name, (4, 5))(*tensors)
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            slopes = torch.autograd.grad(y.square().sum(), tensors, create_graph=True)
            found.append(torch.autograd.grad(sum(slope.square().sum() for slope in slopes), tensors))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("layout", ["channels last", "channels first"])
def test_the_output_lies_as_the_queries_do(name, layout):
    q, v, table = problem(2, 3, 4, 5, 1, (3, 3), (4, 4))
    q = q.mT.contiguous().mT if layout == "channels first" else q.transpose(1, 2).contiguous().transpose(1, 2)
    y = ENGINES[name](q, v, table, (4, 4))
    assert (y.mT if layout == "channels first" else y.transpose(1, 2)).is_contiguous()


@pytest.mark.parametrize("name", FAST)
def test_pieces_make_the_whole(name, monkeypatch):
    """Tiles, chunks of k and of the batch, however small, change nothing."""
    tensors, size = problem(3, 2, 3, 2, 2, (7, 5), (5, 9), content=True), (5, 9)
    whole = results(name, tensors, size)
    for module in (attention, convolution, fft, gemm):
        monkeypatch.setattr(module, "room", lambda x: 1)
    monkeypatch.setattr(gemm, "COLUMNS", 1)
    for found, expected in zip(results(name, tensors, size), whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


TALL = """
import torch
from lambda_core.engines import ENGINES, convolution, einsum

torch.manual_seed(0)
for size in ((16, 1), (12, 5), (10, 24)):
    n = size[0] * size[1]
    q, v, table = torch.randn(5, 2, n, 2), torch.randn(5, n, 8, 2), torch.randn(2, 2, 2 * size[0] - 1, 3)
    tensors = [x.requires_grad_() for x in (q, v, table)]
    for mine, theirs in ((ENGINES["convolution"], ENGINES["einsum"]),
                         (lambda q, *x: convolution.position_lambdas(*x), lambda q, *x: einsum.position_lambdas(*x))):
        found, expected = (torch.autograd.grad(f(*tensors, size).square().sum(), tensors, allow_unused=True)
                           for f in (mine, theirs))
        for a, b in zip(found, expected):
            assert (a is b is None) or (a - b).abs().max() < 1e-3 * b.abs().max()
"""


def test_kernels_as_high_as_two_maps():
    """On a CPU the gradient of such a kernel writes beyond its memory in PyTorch; so in a process of its own."""
    done = subprocess.run([sys.executable, "-c", TALL], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_attention_in_bfloat16():
    """Weights of 16 bits cost no more than a few roundings of the inputs do, in the output and every gradient."""
    torch.manual_seed(0)
    shapes = (5, 2, 36, 4), (5, 36, 8, 1), (4, 1, 7, 7), (5, 4, 8)
    narrow = [torch.randn(shape).bfloat16().requires_grad_() for shape in shapes]
    exact = [t.detach().double().requires_grad_() for t in narrow]

    def run(q, v, table, content):
        y = ENGINES["attention"](q, v, table, (6, 6), content)
        return y, *torch.autograd.grad(y, (q, v, table, content), torch.ones_like(y))

    for found, expected in zip(run(*narrow), run(*exact), strict=True):
        assert found.dtype == torch.bfloat16
        assert (found - expected).norm() < 2**-7 * expected.norm()


def stored(name, scope, side=32):
    """The most that one call holds at once, in bytes."""
    q, v, table, size = shapes(8, side, b=1, h=1, k=8, scope=scope)
    tensors = [torch.randn(shape) for shape in (q, v, table)]
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        ENGINES[name](*tensors, size)
    held = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def test_fft_memory_does_not_grow_with_the_scope():
    small, large = stored("fft", 15), stored("fft", 63)
    assert large < 3 * small  # 18 times as many offsets; the transforms are up to 1.6 times as long on each axis
    assert stored("einsum", 63) > 4 * large


@pytest.mark.parametrize("length", [1, 7, 11, 13, 67, 97, 255])
def test_fast_lengths(length):
    found = fft.fast_length(length)
    assert length <= found <= 1.15 * length + 1
    assert max((p for p in range(2, found + 1) if found % p == 0 and all(p % d for d in range(2, p))), default=1) <= 5


def test_products_are_torch_s():
    """oneDNN where it is faster, MKL elsewhere: one answer, transposed operands and split columns included."""
    torch.manual_seed(0)
    a, b = torch.randn(3, 384, 96), torch.randn(3, 80, 96)
    assert a[0].numel() * 80 > matmul.LEAST
    torch.testing.assert_close(matmul.product(a[0], b[0].t()), a[0] @ b[0].t(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(matmul.product(a[0].t(), a[0]), a[0].t() @ a[0], rtol=1e-5, atol=1e-4)
    shift = torch.randn(80)
    for rows in a[0], a[0, :4]:
        torch.testing.assert_close(matmul.product(rows, b[0].t(), shift), rows @ b[0].t() + shift, rtol=1e-5, atol=1e-4)
    out = torch.empty(2, 3, 384, 40).permute(1, 2, 0, 3)
    torch.testing.assert_close(matmul.products(a, b.mT, out=out).flatten(2), torch.bmm(a, b.mT), rtol=1e-5, atol=1e-4)


def test_position_weights_and_lambdas_give_the_output():
    q, v, table = problem(2, 2, 3, 2, 2, (5, 5), (3, 4))
    y = ENGINES["einsum"](q, v, table, (3, 4))
    weights = attention.position_weights(q, table, (3, 4))
    torch.testing.assert_close(torch.einsum("bhnmu,bmvu->bhnv", weights, v), y)
    expected = einsum.position_lambdas(v, table, (3, 4))
    torch.testing.assert_close(convolution.position_lambdas(v, table, (3, 4)), expected)


STAGES = [(64, 56), (128, 28), (256, 14), (512, 7)]


def shapes(width, side, b=8, h=4, k=16, scope=23):
    n = side * side
    return (b, h, n, k), (b, n, width // h, 1), (k, 1, scope, scope), (side, side)


def test_costs_count_what_the_engines_do():
    q, v, table, size = shapes(32, 5, b=2, scope=3)
    n, pairs, k, values, b, h = 25, 625, 16, 8, 2, 4
    assert einsum.cost(q, v, table, size) == (
        b * k * values * (pairs + h * n),
        2 * (pairs * k + b * n * k * values),
    )
    assert convolution.cost(q, v, table, size) == (
        b * n * k * values * (9 + h + convolution.PASSES),
        6 * b * n * k * values,
    )
    assert attention.cost(q, v, table, size) == (b * h * pairs * (k + values), 2 * pairs * (k + b * h))


def counted(function, *args):
    """Multiply-adds of the matrix products and convolutions that PyTorch sees."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function(*args)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("module", [attention, gemm])
def test_costs_agree_with_counted_products(module):
    q, v, table, size = shapes(32, 20, b=2, scope=9)
    tensors = [torch.randn(shape, dtype=torch.float64) for shape in (q, v, table)]
    operations = module.cost(q, v, table, size)[0]
    if module is gemm:
        operations -= gemm.PASSES * 2 * 400 * 16 * 8
    assert counted(module.output, *tensors, torch.zeros(2, 16, 8, dtype=torch.float64), size) == pytest.approx(
        operations, rel=0.25
    )


@pytest.mark.parametrize(("width", "side"), STAGES)
def test_auto_takes_the_fastest_estimate(width, side):
    estimates = auto.estimate(*shapes(width, side))
    chosen = select(*shapes(width, side))
    assert estimates[chosen].seconds == min(e.seconds for e in estimates.values() if e.bytes <= auto.ROOM)


def test_auto_on_the_stages_of_a_resnet():
    """Measured on a CPU: dense weights on small maps; the definition never."""
    chosen = [select(*shapes(width, side)) for width, side in STAGES]
    assert chosen[2:] == ["attention", "attention"]
    assert "einsum" not in chosen


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("problem", [(8, 4, 16, 32, 1, 23, 28), (8, 4, 16, 64, 1, 23, 14), (2, 4, 16, 16, 1, 63, 32)])
def test_an_engine_stores_about_what_its_cost_says(engine, problem):
    """In a training step, beside what comes in and goes out; the profiler of PyTorch is the witness."""
    b, h, k, values, u, scope, side = problem
    size, n = (side, side), side * side
    shapes = (b, h, n, k), (b, n, values, u), (k, u, scope, scope)
    tensors = [torch.randn(shape, requires_grad=True) for shape in shapes]

    def step():
        y = ENGINES[engine](*tensors, size)
        return torch.autograd.grad(y, tensors, torch.ones_like(y))

    around = 4 * (sum(t.numel() for t in tensors) + 2 * b * h * n * values)
    stored = peak_bytes(step, torch.device("cpu")) - around
    assert stored / 2 < 4 * auto.COSTS[engine](*shapes, size)[1] < 2 * stored


def test_auto_minds_the_memory():
    """A weight for every pair of a large map would fill the machine."""
    estimates = auto.estimate(*shapes(64, 160, scope=7))
    assert estimates["attention"].bytes > 2**36
    assert estimates[select(*shapes(64, 160, scope=7))].bytes < auto.ROOM


def test_auto_prefers_time_among_those_with_room(monkeypatch):
    constants = {"cpu": {"einsum": (1.0, 0, 0), "gemm": (2.0, 0, 0), "attention": (3.0, 0, 0)}}
    monkeypatch.setattr(auto, "CONSTANTS", constants)
    args = shapes(64, 28)
    assert select(*args) == "einsum"
    monkeypatch.setattr(auto, "ROOM", auto.estimate(*args)["einsum"].bytes - 1)
    assert select(*args) == "gemm"
    assert "of those that store at most" in explain(*args)


def test_convolution_is_left_to_sequences_on_a_cpu():
    """It was chosen for a 3 x 3 scope on 160 x 160 positions, and took three times as long as the best."""
    assert "convolution" not in explain(*shapes(32, 160, scope=3))
    assert "convolution" in explain((1, 4, 512, 16), (1, 512, 16, 1), (16, 1, 1, 7), (1, 512))
    assert "convolution" in auto.candidates(*shapes(32, 160, scope=3), "cuda")


def test_explain_is_one_sentence_with_each_engine():
    sentence = explain(*shapes(256, 14))
    assert sentence.startswith("attention: the shortest estimated time on cpu for a 14 x 14 map (attention ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    for name, estimate in auto.candidates(*shapes(256, 14)).items():
        found = re.search(rf"{name} ([\d.,]+) M multiply-adds, ([\d.,]+) MiB, ([\d.,]+) ms", sentence)
        assert found
        operations, mebibytes, milliseconds = (float(text.replace(",", "")) for text in found.groups())
        assert operations == pytest.approx(estimate.operations / 1e6, abs=0.06)
        assert mebibytes == pytest.approx(estimate.bytes / 2**20, abs=0.06)
        assert milliseconds == pytest.approx(estimate.seconds * 1e3, abs=0.06)


def test_unmeasured_devices_count_as_a_cpu():
    assert auto.estimate(*shapes(64, 14), "meta") == auto.estimate(*shapes(64, 14), "cpu")


def test_constants_cover_every_engine():
    assert ENGINES.keys() == auto.COSTS.keys()
    for device, constants in auto.CONSTANTS.items():
        assert constants.keys() == {name for name in ENGINES if auto.MADE_FOR.get(name, device) == device}
        assert all(len(c) == 3 and min(c) >= 0 and max(c) > 0 for c in constants.values())


def test_fit_finds_the_constants():
    rows = torch.tensor([[1, 1e6, 1e3], [1, 4e6, 9e3], [1, 1e4, 5e5], [1, 1e8, 1e4], [1, 10, 10]], dtype=torch.float64)
    constants = torch.tensor([1e-4, 2e-10, 3e-9], dtype=torch.float64)
    assert measure.fit(rows, rows @ constants) == pytest.approx(constants.tolist(), rel=1e-6)
    slower_without = rows @ torch.tensor([1e-4, 2e-10, -1e-12], dtype=torch.float64)
    assert min(measure.fit(rows, slower_without)) == 0


def test_measure_writes_what_auto_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "PROBLEMS", ((1, 1, 2, 2, 1, 3, 3), (1, 2, 4, 4, 1, 3, 4)))
    path = tmp_path / "constants.json"
    path.write_text('{"other": {}}')
    threads = torch.get_num_threads()
    try:
        measure.main(["--device", "cpu", "--repeats", "1", "--json", str(path)])
    finally:
        torch.set_num_threads(threads)
    written = json.loads(path.read_text())
    assert set(written) == {"other", "cpu"}
    assert set(written["cpu"]) >= {"command", "device", "date", "engines"}
    assert written["cpu"]["engines"].keys() == ENGINES.keys() - {"fused"}


class _Elsewhere(TorchDispatchMode):
    """Gathers the operations that make a tensor on another device than `device`."""

    def __init__(self, device):
        super().__init__()
        self.device, self.found = device, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **kwargs or {})
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(tensor, torch.Tensor) and tensor.device.type != self.device and tensor.numel():
                self.found.append(str(function))
        return made


@pytest.mark.parametrize("module", [attention, convolution, fft, gemm, toeplitz])
def test_nothing_comes_from_another_device(module):
    """A copy from the CPU makes a GPU wait, and cannot be captured in a CUDA graph."""
    q, v, table, content = (x.detach().to("meta") for x in problem(2, 2, 3, 4, 1, (5, 5), (6, 7), content=True))
    with _Elsewhere("meta") as elsewhere:
        y = module.output(q, v, table, content, (6, 7))
        module.gradients(y, q, v, table, content, (6, 7))
    assert not elsewhere.found
