"""The engine for a problem: the one with the shortest estimated time among those that fit in memory.

An engine's `cost` counts its multiply-adds and the numbers that it stores. Its time is taken as fixed seconds + seconds
a multiply-add x the first + seconds a byte x the second, with constants measured on each kind of device, forward and
backward together: `python -m lambda_core.engines.measure` writes them to results/engine_constants.json.
"""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import NamedTuple

import torch
from torch.fx.experimental.symbolic_shapes import has_static_value

from lambda_core.engines import attention, convolution, einsum, fft, fused, gemm, toeplitz
from lambda_core.positions import Size

Shape = tuple[int, ...]

# All engines; what else a new one has to be in, tests/test_cost.py finds out.
MODULES = {
    "einsum": einsum, "convolution": convolution, "gemm": gemm, "toeplitz": toeplitz, "fused": fused, "fft": fft,
    "attention": attention,
}  # fmt: skip
COSTS: dict[str, Callable[[Shape, Shape, Shape, Size], tuple[int, int]]] = {
    name: module.cost for name, module in MODULES.items()
}

# What a cost counts beside multiply-adds, for an entry of the lambdas.
PASSES: dict[str, int] = {name: module.PASSES for name, module in MODULES.items() if hasattr(module, "PASSES")}

FOR_ALL = "gemm"
# Engines that are another one everywhere but on this type of device.
MADE_FOR = {"fused": "cuda"}

# Device type -> engine -> (fixed seconds, seconds a multiply-add, seconds a byte). Devices not measured count as a CPU.
CONSTANTS: dict[str, dict[str, tuple[float, float, float]]] = {
    device: {name: tuple(row["seconds"]) for name, row in measured["engines"].items()}
    for device, measured in json.loads(
        files("lambda_core").joinpath("results/engine_constants.json").read_text(encoding="utf-8")
    ).items()
}

# Left to sequences on a CPU: on maps another was faster wherever it was measured, and where values are few the estimate
# of this one is too low by far.
FOR_LINES = "convolution"

ROOM = 2**30  # bytes that an engine may store before the thriftiest one is preferred to the fastest


class Estimate(NamedTuple):
    """What an engine is expected to take: multiply-adds forward, bytes stored, seconds forward and backward."""

    operations: int
    bytes: int
    seconds: float


def candidates(q: Shape, v: Shape, table: Shape, size: Size, device: str = "cpu") -> dict[str, Estimate]:
    """The estimates that `select` goes by."""
    found = estimate(q, v, table, size, device)
    if (device == "cpu" or device not in CONSTANTS) and size[0] > 1:
        found.pop(FOR_LINES, None)
    return found


def estimate(q: Shape, v: Shape, table: Shape, size: Size, device: str = "cpu") -> dict[str, Estimate]:
    """Each engine's expected cost for tensors of these shapes in float32, as `ENGINES` takes them."""
    found = {}
    for name, (fixed, per_operation, per_byte) in CONSTANTS.get(device, CONSTANTS["cpu"]).items():
        operations, numbers = COSTS[name](q, v, table, size)
        seconds = fixed + operations * per_operation + 4 * numbers * per_byte
        found[name] = Estimate(operations, 4 * numbers, seconds)
    return found


def _choose(estimates: dict[str, Estimate]) -> str:
    room = max(ROOM, min(*(e.bytes for e in estimates.values())))
    chosen = ""
    for name, e in estimates.items():  # a loop, since torch.compile cannot trace min() over symbolic sizes
        if e.bytes <= room and (not chosen or e.seconds < estimates[chosen].seconds):
            chosen = name
    return chosen


def select(q: Shape, v: Shape, table: Shape, size: Size, device: str = "cpu") -> str:
    """The name of the engine to use: the fastest by estimate of those that store at most 1 GiB, else the thriftiest.

    Programs of `torch.export`, and of `torch.compile` where sizes change, get one that serves every size: estimates of
    symbolic sizes would become limits of the program, and it would be compiled again and again.
    """
    compiling = torch.compiler.is_compiling()
    if torch.compiler.is_exporting() or (compiling and not all(map(has_static_value, (*q, *v, *size)))):
        return FOR_ALL
    return _choose(candidates(q, v, table, size, device))


def explain(q: Shape, v: Shape, table: Shape, size: Size, device: str = "cpu") -> str:
    """One sentence: which engine `select` takes and why, with the estimated operations, bytes and time of each."""
    estimates = candidates(q, v, table, size, device)
    chosen = _choose(estimates)
    fastest = min(estimates, key=lambda name: estimates[name].seconds)
    why = (
        "the shortest estimated time"
        if chosen == fastest
        else f"the shortest estimated time of those that store at most {ROOM / 2**30:g} GiB or the least"
    )
    each = "; ".join(
        f"{name} {e.operations / 1e6:,.1f} M multiply-adds, {e.bytes / 2**20:,.1f} MiB, {e.seconds * 1e3:,.1f} ms"
        for name, e in sorted(estimates.items(), key=lambda item: item[1].seconds)
    )
    stand_in = "" if device in CONSTANTS else ", which was not measured and is taken for a CPU,"
    return f"{chosen}: {why} on {device}{stand_in} for a {size[0]} x {size[1]} map ({each})."
