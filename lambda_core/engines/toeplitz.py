"""Lambda first, in a few large matrix products: E as a matrix of queries by context, for some rows of the map.

E depends on the offset alone, so one Toeplitz matrix serves every band of rows, and rows that a band does not reach are
left out. The products run at the speed of a device whose matrix units outrun its memory, in 16 bits as well, where they
sum in float32. The lambdas of a band are forgotten: the backward pass computes them again.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lambda_core import positions
from lambda_core.engines.operator import MEMORY, empty_output, operator
from lambda_core.functional import wide

ROWS = 8  # of the map, worked off together where the scope leaves rows out
PASSES = 1024  # multiply-adds, which are fast here, that take as long as the passes over one lambda entry


class _Band(NamedTuple):
    """Rows `start` to `stop` of the queries, which reach rows `first` to `last` of the context."""

    start: int
    stop: int
    first: int
    last: int


def _bands(rows: int, size: positions.Size, numbers: int) -> list[_Band]:
    """A map in bands about as high as each other. rows: of the table; numbers: of the lambdas in one row of the map."""
    height, reach = size[0], rows // 2
    most = max(1, min(ROWS if 2 * reach < height else height, MEMORY // max(1, numbers)))
    high = -(-height // -(-height // most))
    return [
        _Band(start, min(start + high, height), max(0, start - reach), min(height, start + high + reach))
        for start in range(0, height, high)
    ]


class Matrix(NamedTuple):
    """Sides of the matrix for a band: g rows of queries, j rows of context."""

    g: int
    j: int


def band(rows: int, size: positions.Size, numbers: int) -> Matrix:
    """How large the matrix is; arguments as in `_bands`."""
    bands = _bands(rows, size, numbers)
    return Matrix(bands[0].stop, max(b.last - b.start for b in bands) - min(b.first - b.start for b in bands))


class Plan:
    """The bands of a map, and E as the matrix of a band."""

    def __init__(self, v: Tensor, table: Tensor, size: positions.Size) -> None:
        self.size, self.table, self.v = size, positions.crop(table, size), v
        self.bands = _bands(self.table.shape[2], size, size[1] * len(table) * len(v) * v.shape[2])
        self.high = self.bands[0].stop
        self.first = min(band.first - band.start for band in self.bands)  # context rows, counted from the band's first
        self.last = max(band.last - band.start for band in self.bands)
        rows, columns = (side // 2 for side in self.table.shape[2:])
        edge = size[1] - 1 - columns
        self.edges = edge, edge, self.high - 1 - self.first - rows, self.last - 1 - rows
        self.values = v.permute(1, 3, 0, 2).reshape(size[0], -1, len(v) * v.shape[2])  # (H, W u, b v)

    def matrix(self) -> Tensor:
        """(k, u, R, C) -> (query rows, W k, context rows, W u)"""
        windows = F.pad(self.table, self.edges).unfold(2, self.last - self.first, 1).unfold(3, self.size[1], 1)
        windows = windows.flip(2, 3).permute(2, 3, 0, 4, 5, 1).contiguous()  # (rows, W, k, context rows, W, u)
        return windows.view(self.high, -1, self.last - self.first, windows.shape[4] * windows.shape[5])

    def adjoint(self, matrix: Tensor, like: Tensor) -> Tensor:
        """The gradient of the table for that of `matrix`."""
        k, u = like.shape[:2]
        grid = matrix.view(self.high, self.size[1], k, -1, self.size[1], u)
        rows = _along_diagonals(wide(grid.permute(2, 5, 1, 4, 0, 3)))  # (k, u, W, W, offsets)
        found = _along_diagonals(rows.permute(0, 1, 4, 2, 3))
        inside = F.pad(found, [-edge for edge in self.edges])
        if inside.shape == like.shape:
            return torch.empty_like(like).copy_(inside)
        result = torch.zeros_like(like)
        positions.crop(result, self.size).copy_(inside)
        return result

    def part(self, matrix: Tensor, band: _Band) -> Tensor:
        """The rows and columns of `matrix` for a band, as a view: (queries k, context u)"""
        there = slice(band.first - band.start - self.first, band.last - band.start - self.first)
        return matrix[: band.stop - band.start, :, there].flatten(2).flatten(0, 1)

    def here(self, band: _Band) -> slice:
        """The query positions of a band."""
        return slice(band.start * self.size[1], band.stop * self.size[1])

    def lambdas(self, matrix: Tensor, band: _Band) -> Tensor:
        """λp_n for the queries of a band: (b, n, k, v)"""
        found = self.part(matrix, band) @ self.values[band.first : band.last].flatten(0, 1)
        return found.view(-1, self.table.shape[0], len(self.v), self.v.shape[2]).permute(2, 0, 1, 3)


def _along_diagonals(x: Tensor) -> Tensor:
    """(..., q, c) -> (..., c + q - 1): sums of the entries with equal c - q."""
    q, c = x.shape[-2:]
    sheared = F.pad(x.flip(-2), (0, q)).flatten(-2)[..., :-q]  # each row begins one further than the row before
    return sheared.unflatten(-1, (q, c + q - 1)).sum(-2)


class Sums:
    """The gradients of the values and of the matrix, to which every band adds; in float32 where there are several."""

    def __init__(self, plan: Plan, matrix: Tensor) -> None:
        self.plan, self.matrix = plan, matrix
        self.dvalues = self.dmatrix = torch.empty(0)
        if len(plan.bands) > 1:
            self.dvalues, self.dmatrix = (x.new_zeros(x.shape, dtype=wide(x).dtype) for x in (plan.values, matrix))

    def add(self, band: _Band, dlambdas: Tensor) -> None:
        """The gradient of the lambdas of a band, (n k, b v)."""
        plan = self.plan
        dmatrix = dlambdas @ plan.values[band.first : band.last].flatten(0, 1).mT
        dvalues = plan.part(self.matrix, band).mT @ dlambdas
        if len(plan.bands) == 1:
            self.dmatrix, self.dvalues = dmatrix, dvalues
        else:
            plan.part(self.dmatrix, band).add_(dmatrix)
            self.dvalues[band.first : band.last].flatten(0, 1).add_(dvalues)

    def values(self, like: Tensor) -> Tensor:
        """(b, m, v, u)"""
        b, _, depth, u = like.shape
        return torch.empty_like(like).copy_(self.dvalues.view(-1, u, b, depth).permute(2, 0, 3, 1))

    def table(self, like: Tensor) -> Tensor:
        """(k, u, R, C)"""
        return self.plan.adjoint(self.dmatrix, like)


def output(q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size) -> Tensor:
    """y_n = (λc + λp_n)ᵀ q_n.  (b, h, n, k), (b, m, v, u), (k, u, R, C), (b, k, v) -> (b, h, n, v)"""
    plan, y = Plan(v, table, size), empty_output(q, v)
    matrix = plan.matrix()
    y.copy_(q @ content[:, None])
    for band in plan.bands:
        here = plan.here(band)
        y[:, :, here] += (q[:, :, here].transpose(1, 2) @ plan.lambdas(matrix, band)).transpose(1, 2)
    return y


def gradients(
    dy: Tensor, q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, v, the table and λc for dy (b, h, n, v)."""
    plan, dq = Plan(v, table, size), torch.empty_like(q)
    matrix = plan.matrix()
    dq.copy_(dy @ content[:, None].mT)
    dcontent = (q.mT @ dy).sum(1)
    sums = Sums(plan, matrix)
    for band in plan.bands:
        here = plan.here(band)
        queries, heads = (x[:, :, here].transpose(1, 2) for x in (q, dy))  # (b, n, h, k or v)
        dq[:, :, here] += (heads @ plan.lambdas(matrix, band).mT).transpose(1, 2)
        sums.add(band, (queries.mT @ heads).permute(1, 2, 0, 3).flatten(2).flatten(0, 1))
    return dq, sums.values(v), sums.table(table), dcontent


engine = operator("toeplitz", output, gradients, narrow=True)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds, passes over the lambdas counted as such, and numbers stored: the matrix, the lambdas of a band,
    and gradients, in two layouts."""
    b, h, n, k = q
    _, _, values, u = v
    rows, _ = positions.cropped_size(table[2:], size)
    width = size[1]
    bands = _bands(rows, size, width * k * b * values)
    pairs = sum((each.stop - each.start) * (each.last - each.first) for each in bands) * width**2
    g, j = band(rows, size, width * k * b * values)
    matrix, lambdas = g * j * width**2 * k * u, g * width * k * b * values
    return b * values * k * (pairs * u + n * (h + PASSES)), 4 * matrix + 3 * lambdas + 2 * b * n * values * u
