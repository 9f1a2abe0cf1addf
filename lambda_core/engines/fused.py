"""Lambda first, without the lambdas: a kernel that sums those of a few pixels in registers and uses them there.

The other engines that are lambda-first write the lambdas to memory, k times as many numbers as the output has for each
head, and read them again. Here neither happens in the forward pass. The backward pass computes the lambdas again for
the gradient of q, and writes the gradients of the lambdas a band of rows at a time for the products of `toeplitz`.

The kernels, in `fused_kernels`, are for CUDA and the shapes of a ResNet with intra-depth 1. Elsewhere this engine is
`toeplitz`, and nothing here needs Triton to be installed.
"""

import functools
import os
import warnings
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lambda_core import positions
from lambda_core.engines import toeplitz
from lambda_core.engines.operator import empty_output, operator

ROWS = 128  # queries times k of a program: what two instructions of a tensor core hold
DEPTHS = 16, 32, 64, 128
DEEPEST = 32  # k of float32: its products are unrolled, and those with λc grow with k
HEADS = 16  # the queries of each are held in registers
CAPABILITIES = (8, 0), (9, 0), (10, 0)  # devices with the 160 KiB next to the tensor cores that a tiling may fill
LARGEST = 2**31  # the kernels count in 32 bits
PASSES = 256  # multiply-adds that take as long as the passes over one lambda entry


class Tiling(NamedTuple):
    """How a kernel is cut: columns (b, v) of a program, entries summed in a step, warps, steps loaded ahead, and the
    most registers of a thread, if that is to be limited."""

    columns: int
    entries: int
    warps: int
    stages: int
    registers: int | None = None


# Kernel, bytes of a number, v; the best of a dozen on an H100
TILINGS: dict[tuple[str, int, int], Tiling] = {
    (kernel, size, v): Tiling(128, 32, 8, 4) if size == 2 else Tiling(128, 16, 8, 2)
    for kernel in ("output", "gradients")
    for size in (2, 4)
    for v in DEPTHS
} | {("output", 2, v): Tiling(256, 32, 8, 4) for v in (16, 32)}


@functools.cache
def _kernels() -> ModuleType | None:
    try:
        from lambda_core.engines import fused_kernels
    except ImportError:  # no Triton
        return None
    return fused_kernels


@functools.cache
def _reach_the_gpu(kernels: ModuleType) -> bool:
    """Whether Triton can run them: what it reaches the GPU with is built the first time, by a C compiler."""
    try:
        kernels.reach_gpu()
    except Exception as error:  # no compiler, no headers of Python, no folder to build in: each raises its own
        why = (str(error) or type(error).__name__).splitlines()[0]
        warnings.warn(f"Triton cannot build its kernels here ({why}): the engine fused runs as toeplitz", stacklevel=2)
        return False
    return True


def _last(x: Tensor) -> int:
    """The offset of the last number."""
    return sum((side - 1) * stride for side, stride in zip(x.shape, x.stride(), strict=True))


def applies(q: Tensor, v: Tensor, table: Tensor, *others: Tensor) -> bool:
    """Whether the kernels take these tensors, and are to be had where they lie."""
    if q.device.type == "cuda":
        if torch.version.cuda is None or torch.cuda.get_device_capability(q.device) not in CAPABILITIES:
            return False
    elif q.device.type != "cpu" or os.environ.get("TRITON_INTERPRET") != "1":  # the interpreter is for tests
        return False
    if q.dtype not in (torch.float32, torch.bfloat16) or v.shape[3] != 1:
        return False
    if q.shape[1] > HEADS or q.shape[3] not in DEPTHS or v.shape[2] not in DEPTHS:
        return False
    if q.dtype == torch.float32 and q.shape[3] > DEEPEST:
        return False
    if max(_last(x) for x in (q, v, *others)) >= LARGEST or q[..., 0].numel() * v.shape[2] >= LARGEST:  # the output
        return False
    rows, columns = table.shape[2:]
    if rows * columns * ROWS * q.shape[2] >= LARGEST:  # more than the weights have, however they are laid out
        return False
    kernels = _kernels()
    if kernels is None:
        return False
    return _reach_the_gpu(kernels) if q.device.type == "cuda" else bool(kernels.INTERPRETED)


class _Problem:
    """What both kernels are given: values, weights and the content lambdas as matrices, and the tiling's numbers."""

    def __init__(self, heads: int, v: Tensor, table: Tensor, content: Tensor, size: positions.Size) -> None:
        self.plan = toeplitz.Plan(v, table, size)
        self.table, self.size = self.plan.table[:, 0], size
        k, rows, columns = self.table.shape
        self.pixels = ROWS // k
        self.tiles = -(-size[1] // self.pixels)
        # The window of a tile is the context columns that it reaches, or the whole row where that is less.
        self.sliding = columns + self.pixels - 1 < size[1]
        self.width = columns + self.pixels - 1 if self.sliding else size[1]
        self.values = self.plan.values.contiguous()
        self.content = content.transpose(0, 1).reshape(k, -1).contiguous()
        self.counts = self.values.shape[2], size[0], rows
        self.constants: dict[str, Any] = {
            "REACH": columns // 2 if self.sliding else -1,
            "W": size[1],
            "KW": self.width,
            "K": k,
            "V": v.shape[2],
            "P": self.pixels,
            "HEADS": heads,
            "PRECISION": "ieee" if v.dtype == torch.float32 else "tf32",  # of float32 alone
        }

    def weights(self, together: bool) -> Tensor:
        """(tiles or 1, rows, width, P k): E[k, row, column of the context - column of the query + C // 2], else 0.

        With `together`, the bits of k are those that one thread holds: 0, 3, 4, ...
        """
        columns = self.table.shape[2]
        pixels = self.pixels if self.sliding else self.tiles * self.pixels
        left = pixels - 1 - (0 if self.sliding else columns // 2)
        windows = F.pad(self.table, (left, self.width - columns + pixels - 1 - left)).unfold(2, self.width, 1)
        windows = windows.unflatten(2, (-1, self.pixels)).flip(2, 3)  # (k, rows, tiles, P, width)
        if together:
            low = min(self.pixels, 4)
            grid = windows.unflatten(3, (-1, low)).unflatten(0, (-1, 2))  # (k / 2, 2, rows, tiles, P / low, low, width)
            return grid.permute(3, 2, 6, 4, 0, 5, 1).contiguous()
        return windows.permute(2, 1, 4, 3, 0).contiguous()

    def launch(self, kernel: str, rows: int, *arguments: Tensor | int) -> None:
        """Run it for that many rows of the map."""
        tiling = TILINGS[kernel, self.values.element_size(), self.constants["V"]]
        programs = rows * self.tiles * -(-self.counts[0] // tiling.columns)
        kernels = _kernels()
        assert kernels is not None
        with torch.cuda.device_of(self.values):
            getattr(kernels, kernel)[(programs,)](
                *arguments,
                **self.constants,
                BN=tiling.columns,
                KC=tiling.entries,
                num_warps=tiling.warps,
                num_stages=tiling.stages,
                **({} if tiling.registers is None else {"maxnreg": tiling.registers}),
            )


def output(q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size) -> Tensor:
    """y_n = (λc + λp_n)ᵀ q_n.  (b, h, n, k), (b, m, v, u), (k, u, R, C), (b, k, v) -> (b, h, n, v)"""
    if not applies(q, v, table):
        return toeplitz.output(q, v, table, content, size)
    y, problem = empty_output(q, v), _Problem(q.shape[1], v, table, content, size)
    tensors = q, problem.values, problem.weights(True), problem.content, y
    problem.launch("output", size[0], *tensors, *problem.counts, *q.stride(), *y.stride())
    return y


def gradients(
    dy: Tensor, q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, v, the table and λc for dy (b, h, n, v)."""
    if not applies(q, v, table, dy):
        return toeplitz.gradients(dy, q, v, table, content, size)
    dq, problem = torch.empty_like(q), _Problem(q.shape[1], v, table, content, size)
    plan, weights = problem.plan, problem.weights(False)
    dcontent = (q.mT @ dy).sum(1)
    matrix = plan.matrix()
    sums = toeplitz.Sums(plan, matrix)
    buffer = v.new_empty(plan.high * size[1] * q.shape[3], problem.values.shape[2])
    for band in plan.bands:
        rows = band.stop - band.start
        dlambdas = buffer[: rows * size[1] * q.shape[3]]  # (n k, b v)
        tensors = dy, q, problem.values, weights, problem.content, dq, dlambdas
        strides = *dy.stride(), *q.stride(), *dq.stride()
        problem.launch("gradients", rows, *tensors, band.start, *problem.counts, *strides)
        sums.add(band, dlambdas)
    return dq, sums.values(v), sums.table(table), dcontent


engine = operator("fused", output, gradients, narrow=True)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds of the forward kernel, passes over the lambdas counted as such, and numbers stored: those of
    `toeplitz`, whose products the backward pass takes."""
    b, h, n, k = q
    _, _, values, u = v
    operations, numbers = toeplitz.cost(q, v, table, size)
    if u > 1 or h > HEADS or not {k, values} <= set(DEPTHS):
        return operations, numbers
    rows, columns = positions.cropped_size(table[2:], size)
    pairs = size[1] * min(size[1], columns + ROWS // k - 1) * reached(size[0], rows)
    return b * values * k * (pairs + n * (h + PASSES)), numbers


def reached(height: int, rows: int) -> int:
    """Pairs of a row of the map and one that it reaches, with so many rows of the table."""
    half = min(rows // 2, height)
    return height * (2 * half + 1) - half * (half + 1)
