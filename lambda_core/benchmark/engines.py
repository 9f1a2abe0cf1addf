"""Each engine beside the limits of the machine, and how its time grows with the map."""

from functools import partial
from typing import Any

import torch

from lambda_core.benchmark.measuring import limits, milliseconds, peak_bytes
from lambda_core.benchmark.precision import PRECISIONS
from lambda_core.engines import ENGINES
from lambda_core.engines.auto import COSTS, PASSES, Shape, select
from lambda_core.positions import Size, cropped_size

SIDES = (16, 32, 48, 64, 96, 128)
LARGEST = 2**30  # bytes; on a CPU an engine that would store more is not run


def _room(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else LARGEST


def _operations(name: str, q: Shape, v: Shape, table: Shape, size: Size) -> int:
    """Multiply-adds of the forward pass alone."""
    if name == "convolution":
        rows, columns = cropped_size(table[2:], size)
        return q[0] * q[2] * q[3] * v[2] * (rows * columns * v[3] + q[1])
    return COSTS[name](q, v, table, size)[0] - PASSES.get(name, 0) * q[0] * q[2] * q[3] * v[2]


def distances(
    stages: tuple[tuple[int, int], ...], batch: int, repeats: int, device: torch.device, precision: str = "float32"
) -> dict[str, Any]:
    """Forward time of each engine over the least that its own operations or its input and output could take.

    Limits and engines have the same type; an engine that sums in float32 is measured by it all the same.
    """
    dtype = PRECISIONS[precision]
    rate, bandwidth = limits(device, dtype)
    rows: list[dict[str, Any]] = []
    for width, side in stages:
        n, size = side * side, (side, side)
        shapes = (batch, 4, n, 16), (batch, n, width // 4, 1), (16, 1, 23, 23)
        tensors = [torch.randn(shape, device=device).to(dtype) for shape in shapes]
        traffic = dtype.itemsize * (sum(t.numel() for t in tensors) + batch * n * width)
        names = [name for name in ENGINES if 4 * COSTS[name](*shapes, size)[1] <= _room(device)]
        failures: dict[str, str] = {}
        times = milliseconds(
            {name: partial(ENGINES[name], *tensors, size) for name in names}, repeats, device, failures
        )
        for name in names:
            least = 1e3 * max(_operations(name, *shapes, size) / rate, traffic / bandwidth)
            rows.append({"d": width, "side": side, "engine": name, "ms": times.get(name), "least_ms": least})
            if name in failures:
                rows[-1]["failed"] = failures[name]
    return {"multiply_adds_per_second": rate, "bytes_per_second": bandwidth, "engines": rows}


def _position_step(name: str, tensors: list[torch.Tensor], size: Size) -> None:
    y = ENGINES[name](*tensors, size)
    torch.autograd.grad(y, tensors, torch.ones_like(y))


def growth(repeats: int, device: torch.device, precision: str = "float32") -> list[dict[str, Any]]:
    """Forward and backward of the position part alone, global scope, batch 2, d = 64, for larger and larger maps."""
    rows = []
    for side in SIDES:
        n, size = side * side, (side, side)
        shapes = (2, 4, n, 16), (2, n, 16, 1), (16, 1, 2 * side - 1, 2 * side - 1)
        made = (torch.randn(shape, device=device).to(PRECISIONS[precision]) for shape in shapes)
        tensors = [tensor.requires_grad_() for tensor in made]

        chosen = select(*shapes, size, device.type)
        runs = {name: partial(_position_step, name, tensors, size) for name in dict.fromkeys(("fft", chosen))}
        times = milliseconds(runs, repeats, device)
        rows.append({"side": side, "auto": chosen, "ms": times, "mib": peak_bytes(runs["fft"], device) / 2**20})
    return rows
