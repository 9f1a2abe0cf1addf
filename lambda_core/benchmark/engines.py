"""Each engine beside the limits of the machine, and how its time grows with the map."""

from functools import partial
from typing import Any

import torch

from lambda_core.benchmark.measuring import limits, milliseconds, peak_bytes, release, tolerated
from lambda_core.benchmark.precision import PRECISIONS, full_float32
from lambda_core.engines import ENGINES, proof
from lambda_core.engines.auto import COSTS, PASSES, Shape, select
from lambda_core.positions import Size, cropped_size

SIDES = (16, 32, 48, 64, 96, 128)
LARGEST = 2**30  # bytes; on a CPU an engine that would store more is not run


def _room(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else LARGEST


def _pairs(side: int, reach: int) -> int:
    """Pairs of places along an axis that lie at most so far apart."""
    return sum(side - abs(offset) for offset in range(-reach, reach + 1))


def _operations(name: str, q: Shape, v: Shape, table: Shape, size: Size) -> int:
    """Multiply-adds of the forward pass alone."""
    if name == "convolution":
        rows, columns = (
            _pairs(side, count // 2) for side, count in zip(size, cropped_size(table[2:], size), strict=True)
        )
        return q[0] * q[3] * v[2] * (rows * columns * v[3] + q[2] * q[1])  # a place beyond the map is not multiplied
    return COSTS[name](q, v, table, size)[0] - PASSES.get(name, 0) * q[0] * q[2] * q[3] * v[2]


def _step(name: str, tensors: list[torch.Tensor], size: Size) -> None:
    y = ENGINES[name](*tensors, size)
    torch.autograd.grad(y, tensors, torch.ones_like(y))


def _forward(name: str, tensors: list[torch.Tensor], size: Size) -> None:
    with torch.no_grad():
        ENGINES[name](*tensors, size)


def _prove(name: str, tensors: list[torch.Tensor], size: Size) -> None:
    """SystemExit for an engine that gives another answer than the definition."""
    q, v, table = tensors
    try:
        with full_float32():
            proof.check(name, q, v, table, size)
    except proof.Wrong as wrong:
        raise SystemExit(f"{wrong}; no time is reported") from None


def distances(
    stages: tuple[tuple[int, int], ...], batch: int, repeats: int, device: torch.device, precision: str = "float32"
) -> dict[str, Any]:
    """Time of each engine, forward alone and with the backward pass, over the least that it could take.

    That is the time of its own operations, or of its input and output, whichever is longer. Every product of the
    forward pass has two gradients, so a step has three times as many operations: what an engine computes again in the
    backward pass, in place of keeping it, counts as its loss. Limits and engines have the same type; an engine that
    sums in float32 is measured by it all the same.
    """
    dtype = PRECISIONS[precision]
    rate, bandwidth = limits(device, dtype)
    rows: list[dict[str, Any]] = []
    for width, side in stages:
        n, size = side * side, (side, side)
        shapes = (batch, 4, n, 16), (batch, n, width // 4, 1), (16, 1, 23, 23)
        tensors = [torch.randn(shape, device=device).to(dtype).requires_grad_() for shape in shapes]
        read, written = (dtype.itemsize * count for count in (sum(t.numel() for t in tensors), batch * n * width))
        failures: dict[str, str] = {}
        names = [name for name in ENGINES if 4 * COSTS[name](*shapes, size)[1] <= _room(device)]
        for name in names:
            with tolerated(name, failures):
                _prove(name, tensors, size)
            release(device)
        times = [
            milliseconds({name: partial(run, name, tensors, size) for name in names}, repeats, device, failures)
            for run in (_forward, _step)
        ]
        for name in names:
            operations = _operations(name, *shapes, size)
            row = {"d": width, "side": side, "engine": name, "ms": times[0].get(name), "step_ms": times[1].get(name)}
            row["least_ms"] = 1e3 * max(operations / rate, (read + written) / bandwidth)
            row["least_step_ms"] = 1e3 * max(3 * operations / rate, (3 * read + 2 * written) / bandwidth)
            if name in failures:
                row["failed"] = failures[name]
            rows.append(row)
    return {"multiply_adds_per_second": rate, "bytes_per_second": bandwidth, "engines": rows}


def growth(repeats: int, device: torch.device, precision: str = "float32") -> list[dict[str, Any]]:
    """Forward and backward of the position part alone, global scope, batch 2, d = 64, for larger and larger maps."""
    rows = []
    for side in SIDES:
        n, size = side * side, (side, side)
        shapes = (2, 4, n, 16), (2, n, 16, 1), (16, 1, 2 * side - 1, 2 * side - 1)
        made = (torch.randn(shape, device=device).to(PRECISIONS[precision]) for shape in shapes)
        tensors = [tensor.requires_grad_() for tensor in made]

        chosen = select(*shapes, size, device.type)
        runs = {name: partial(_step, name, tensors, size) for name in dict.fromkeys(("fft", chosen))}
        for name in runs:
            _prove(name, tensors, size)
        times = milliseconds(runs, repeats, device)
        rows.append({"side": side, "auto": chosen, "ms": times, "mib": peak_bytes(runs["fft"], device) / 2**20})
    return rows
