"""The four stages of LambdaResNet-50, and a global layer: ours beside others', and each engine beside the machine."""

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lambda_core.benchmark.measuring import limits, mean, milliseconds, peak_bytes
from lambda_core.benchmark.peers import installed, peer
from lambda_core.engines import ENGINES
from lambda_core.engines.auto import COSTS, PASSES, Shape, estimate, select
from lambda_core.layers.lambda_layer import LambdaLayer
from lambda_core.positions import Size, cropped_size

STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))  # d, side
TOLERANCE = 1e-3  # of the largest entry, for float32 sums in another order
SIDES = (16, 32, 48, 64, 96, 128)
LARGEST = 2**30  # bytes; an engine that would store more is not run


def _step(layer: nn.Module, x: Tensor, dy: Tensor) -> list[Tensor]:
    y = layer(x)
    return [y, *torch.autograd.grad(y, [x, *layer.parameters()], dy, allow_unused=True)]


@torch.no_grad()
def _inference(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x)


def check(name: str, layer: nn.Module, reference: list[Tensor], x: Tensor, dy: Tensor) -> None:
    """SystemExit unless output and input gradient are those of the reference: no speed for a wrong answer."""
    for what, found, expected in zip(("output", "gradient"), _step(layer, x, dy), reference, strict=False):
        error = float(((found - expected).abs().max() / expected.abs().max()).detach())
        if not error < TOLERANCE:
            raise SystemExit(f"{name}: its {what} is off by {error:.1e} of the largest entry; no time is reported")


def compare(width: int, side: int, batch: int, scope: int | None, repeats: int, device: torch.device) -> dict[str, Any]:
    """Step, inference (eval mode, no gradient) and peak memory of ours and of the peers that are installed."""
    torch.manual_seed(0)
    ours = LambdaLayer(width, scope=scope, size=None if scope else (side, side)).to(device)
    x = torch.randn(batch, width, side, side, device=device, requires_grad=True)
    dy = torch.randn_like(x)
    layers: dict[str, nn.Module] = {"ours": ours} | {name: peer(name, ours) for name in installed()}
    small, small_dy = x[:2].detach().requires_grad_(), dy[:2]
    ours.engine = "einsum"
    reference = _step(ours, small, small_dy)
    ours.engine = "auto"
    for name, layer in layers.items():
        check(name, layer, reference, small, small_dy)
    del reference
    steps = {name: partial(_step, layer, x, dy) for name, layer in layers.items()}
    forwards = {name: partial(_inference, layer.eval(), x) for name, layer in copy.deepcopy(layers).items()}
    times = {
        "step": milliseconds(steps, repeats, device),
        "inference": milliseconds(forwards, repeats, device),
        "memory": {name: peak_bytes(run, device) / 2**20 for name, run in steps.items()},
    }
    n = side * side
    table = ours._table().shape
    engine = select((batch, ours.heads, n, ours.dim_k), (batch, n, ours.dim_v, 1), table, (side, side), device.type)
    row: dict[str, Any] = {"d": width, "side": side, "batch": batch, "scope": scope, "engine": engine, **times}
    theirs = {what: [t for n, t in each.items() if n != "ours"] for what, each in times.items()}
    row["ratio"] = {what: min(each) / times[what]["ours"] for what, each in theirs.items() if each}
    return row


def _operations(name: str, q: Shape, v: Shape, table: Shape, size: Size) -> int:
    """Multiply-adds of the forward pass alone."""
    if name == "convolution":
        rows, columns = cropped_size(table[2:], size)
        return q[0] * q[2] * q[3] * v[2] * (rows * columns * v[3] + q[1])
    return COSTS[name](q, v, table, size)[0] - PASSES.get(name, 0) * q[0] * q[2] * q[3] * v[2]


def distances(batch: int, repeats: int, device: torch.device) -> dict[str, Any]:
    """Forward time of each engine over the least that its own operations or its input and output could take."""
    rate, bandwidth = limits(device)
    rows = []
    for width, side in STAGES:
        n = side * side
        shapes = (batch, 4, n, 16), (batch, n, width // 4, 1), (16, 1, 23, 23)
        size, stored = (side, side), estimate(*shapes, (side, side), device.type)
        tensors = [torch.randn(shape, device=device) for shape in shapes]
        traffic = 4 * (sum(t.numel() for t in tensors) + batch * n * width)
        names = [name for name in ENGINES if stored[name].bytes <= LARGEST]
        runs = {name: partial(ENGINES[name], *tensors, size) for name in names}
        times = milliseconds(runs, repeats, device)
        for name in names:
            least = 1e3 * max(_operations(name, *shapes, size) / rate, traffic / bandwidth)
            rows.append({"d": width, "side": side, "engine": name, "ms": times[name], "least_ms": least})
    return {"multiply_adds_per_second": rate, "bytes_per_second": bandwidth, "engines": rows}


def _position_step(name: str, tensors: list[Tensor], size: tuple[int, int]) -> None:
    y = ENGINES[name](*tensors, size)
    torch.autograd.grad(y, tensors, torch.ones_like(y))


def growth(repeats: int, device: torch.device) -> list[dict[str, Any]]:
    """Forward and backward of the position part alone, global scope, batch 2, d = 64, for larger and larger maps."""
    rows = []
    for side in SIDES:
        n, size = side * side, (side, side)
        shapes = (2, 4, n, 16), (2, n, 16, 1), (16, 1, 2 * side - 1, 2 * side - 1)
        tensors = [torch.randn(shape, device=device, requires_grad=True) for shape in shapes]

        chosen = select(*shapes, size, device.type)
        runs = {name: partial(_position_step, name, tensors, size) for name in dict.fromkeys(("fft", chosen))}
        times = milliseconds(runs, repeats, device)
        rows.append({"side": side, "auto": chosen, "ms": times, "mib": peak_bytes(runs["fft"], device) / 2**20})
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Geometric mean and worst of the ratios to the better peer: times as speed-up, memory as theirs over ours."""
    ratios = {what: [row["ratio"][what] for row in rows] for what in rows[0]["ratio"]}
    return {what: {"mean": mean(each), "worst": min(each)} for what, each in ratios.items()}
