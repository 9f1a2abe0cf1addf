"""The proof before a timing: it passes every engine, and sees a fault in each part of an answer."""

import pytest
import torch

from lambda_core.benchmark import engines as benchmark
from lambda_core.benchmark import models
from lambda_core.engines import ENGINES, measure, proof

CPU = torch.device("cpu")
# (b, h, k, v, u), table, size: oblong, scopes below and above the map
PROBLEMS = [((2, 3, 5, 3, 2), (5, 3), (4, 7)), ((2, 2, 4, 6, 1), (23, 23), (6, 5)), ((1, 4, 8, 4, 1), (1, 1), (3, 3))]


def drawn(problem, dtype=torch.float32):
    (b, h, k, v, u), table, size = problem
    n = size[0] * size[1]
    torch.manual_seed(0)
    shapes = (b, h, n, k), (b, n, v, u), (k, u, *table)
    return [torch.randn(shape).to(dtype) for shape in shapes], size


@pytest.mark.parametrize("dtype", proof.TOLERANCES)
@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_passes(name, dtype):
    for problem in PROBLEMS:
        tensors, size = drawn(problem, dtype)
        proof.check(name, *tensors, size)


def test_places_stand_for_all_of_them():
    """What is compared with at a few places is the definition's answer there, taken as a whole."""
    tensors, size = drawn(PROBLEMS[0], torch.float64)
    q, v, _ = tensors
    dy = torch.randn(*q.shape[:3], v.shape[2], dtype=torch.float64)
    *_, dtable = proof.answers("einsum", tensors, size, dy)
    for i in range(5):
        for j in range(3):
            torch.testing.assert_close(dtable[..., i, j], proof._at_offset(q, v, dy, size, (i - 2, j - 1)))


class Faulty(torch.autograd.Function):
    """The engine `gemm` with one part of its answer 1 % too large."""

    @staticmethod
    def forward(ctx, q, v, table, size, part):
        ctx.save_for_backward(q, v, table)
        ctx.size, ctx.part = size, part
        return ENGINES["einsum"](q, v, table, size) * (1.01 if part == "output" else 1)

    @staticmethod
    def backward(ctx, dy):
        with torch.enable_grad():
            _, *gradients = proof.answers("einsum", list(ctx.saved_tensors), ctx.size, dy)
        factors = (1.01 if ctx.part == name else 1 for name in ("dq", "dv", "dE"))
        return *(g * factor for g, factor in zip(gradients, factors, strict=True)), None, None


@pytest.fixture(params=["output", "dq", "dv", "dE"])
def fault(request, monkeypatch):
    monkeypatch.setitem(ENGINES, "gemm", lambda q, v, table, size: Faulty.apply(q, v, table, size, request.param))
    return f"gemm: its {request.param} is off by 1.0e-02"


def test_a_fault_in_any_part_is_seen(fault):
    tensors, size = drawn(PROBLEMS[1])
    with pytest.raises(proof.Wrong, match=fault):
        proof.check("gemm", *tensors, size)


def test_no_time_for_a_wrong_engine(fault, monkeypatch):
    with pytest.raises(SystemExit, match=f"{fault}.*no time is reported"):
        benchmark.distances(((16, 6),), 2, 1, CPU)
    monkeypatch.setattr(benchmark, "SIDES", (4,))
    monkeypatch.setattr(benchmark, "select", lambda *_: "gemm")
    with pytest.raises(SystemExit, match=fault):
        benchmark.growth(1, CPU)
    with pytest.raises(proof.Wrong, match=fault):
        measure.seconds("gemm", (1, 1, 4, 4, 1, 3, 4), CPU, 1)


def test_no_time_for_a_wrong_network_of_a_peer(monkeypatch):
    monkeypatch.setattr(models, "build", lambda name, stages: torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)))
    models._made_by("lucidrains", "float32", CPU)
    monkeypatch.setattr(models, "with_peers", lambda name, network: torch.nn.Sequential(network, torch.nn.ReLU()))
    with pytest.raises(proof.Wrong, match="the network of lucidrains: its output is off"):
        models._made_by("lucidrains", "float32", CPU)


def test_a_step_is_three_times_the_operations_of_the_forward_pass():
    found = benchmark.distances(((64, 12),), 4, 1, CPU)
    for row in found["engines"]:
        assert row["step_ms"] > row["ms"] > 0
        assert row["least_ms"] < row["least_step_ms"] <= 3.0001 * row["least_ms"]
