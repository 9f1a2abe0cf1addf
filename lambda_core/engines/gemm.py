"""Lambda first, all in matrix products: a discrete Fourier transform down the rows, a Toeplitz matrix along them.

The position lambdas are V correlated with E. Down the columns of the map a transform of length H + r // 2 turns the
correlation into one product for each frequency; along a row it stays a sum over at most W places, which is a matrix
product as such. Both run at the speed of a matrix product, where a fast transform is bound by memory. The map is worked
off in tiles of some columns, and the lambdas of a tile are forgotten: the backward pass computes them again.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from lambda_core import positions
from lambda_core.engines.matmul import product
from lambda_core.engines.operator import CACHE, empty_output, operator, room

PASSES = 128  # multiply-adds that take as long as the passes over one lambda entry
COLUMNS = 128  # batch x value channels that are worked off together
CORES = 2  # whose caches are made use of: the more there are, the more memory a tile takes


class _Plan:
    """The matrices for one map, and the spectrum of E.

    The matrices give f real parts, then f imaginary parts: (2, f). Context columns are in reverse order, as in
    `positions.windows`, so that the Toeplitz matrices are windows of the reversed table.
    """

    def __init__(self, table: Tensor, size: positions.Size) -> None:
        self.size, self.half = size, positions.crop(table, size).shape[-1] // 2
        rows = positions.crop(table, size).shape[-2]
        self.length = size[0] + rows // 2  # what the transform wraps around falls on rows that are not there
        self.f = self.length // 2 + 1
        # Where the table is: what comes from elsewhere cannot be part of a CUDA graph. Apple's GPUs have no float64.
        self.device = torch.device("cpu") if table.device.type == "mps" else table.device
        twice = torch.full((self.f, 1), 2.0, dtype=torch.float64, device=self.device)
        twice[0] = 1
        if self.length % 2 == 0:
            twice[-1] = 1
        here = self._angles(size[0])
        offsets = self._angles(rows, rows // 2)
        self.analyse = torch.cat([here.cos(), -here.sin()]).to(table)  # V (H, .) -> (2 f, .)
        self.synthesise = torch.cat([here.cos() * twice, -here.sin() * twice]).t().div(self.length).to(table)
        self.embed = torch.cat([offsets.cos(), offsets.sin()]).to(table)  # E (rows, .) -> (2 f, .)

    def _angles(self, places: int, centre: int = 0) -> Tensor:
        """(f, places), in float64, the product taken modulo the length first."""
        at = torch.arange(places, device=self.device) - centre
        turns = torch.arange(self.f, device=self.device)[:, None] * at % self.length
        return turns.double() * (2 * math.pi / self.length)

    def spectrum(self, table: Tensor) -> Tensor:
        """(k, u, R, C) -> (f, k, 2W - 1, u, 2), the columns of the table in reverse order, imaginary parts last."""
        table = positions.crop(table, self.size)
        rows, width = table.shape[2], 2 * self.size[1] - 1
        padded = table.new_zeros(rows, table.shape[0], width, table.shape[1])
        edge = self.size[1] - 1 - self.half
        padded[:, :, edge : width - edge] = table.flip(-1).permute(2, 0, 3, 1)
        return (self.embed @ padded.flatten(1)).view(2, self.f, *padded.shape[1:]).permute(1, 2, 3, 4, 0).contiguous()

    def table(self, spectrum: Tensor, like: Tensor) -> Tensor:
        """The adjoint of `spectrum`."""
        edge = self.size[1] - 1 - self.half
        inside = spectrum[:, :, edge : spectrum.shape[2] - edge].permute(4, 0, 1, 2, 3)
        found = (self.embed.t() @ inside.flatten(0, 1).flatten(1)).view(-1, *inside.shape[2:])
        result = torch.zeros_like(like)
        positions.crop(result, self.size).copy_(found.permute(1, 3, 0, 2).flip(-1))
        return result

    def signal(self, v: Tensor) -> Tensor:
        """(b, m, v, u) -> (2, f, W u, 2, b v), the columns of the map in reverse order.

        What the Toeplitz matrices multiply: (real, -imaginary) parts, which give real ones, then (imaginary, real).
        """
        b, _, values, u = v.shape
        maps = v.unflatten(1, self.size).permute(1, 2, 4, 0, 3).flip(1)  # (H, W, u, b, v)
        found = (self.analyse @ maps.reshape(self.size[0], -1)).view(2, self.f, self.size[1] * u, b * values)
        signal = found.new_empty(2, *found.shape[1:3], 2, found.shape[3])
        signal[0, :, :, 0] = signal[1, :, :, 1] = found[0]
        signal[1, :, :, 0] = found[1]
        torch.neg(found[1], out=signal[0, :, :, 1])
        return signal

    def values(self, signal: Tensor, like: Tensor) -> Tensor:
        """The adjoint of `signal`."""
        b, _, values, u = like.shape
        found = torch.cat([signal[0, :, :, 0] + signal[1, :, :, 1], signal[1, :, :, 0] - signal[0, :, :, 1]])
        maps = (self.analyse.t() @ found.flatten(1)).view(*self.size, u, b, values)
        return maps.flip(1).permute(3, 0, 1, 4, 2).flatten(1, 2)

    def tiles(self, columns: int) -> Iterator[tuple[slice, slice]]:
        """Query columns, and the reversed context columns that they reach."""
        width = self.size[1]
        for start in range(0, width, columns):
            stop = min(start + columns, width)
            yield (
                slice(start, stop),
                slice(width - min(width, stop + self.half), width - max(0, start - self.half)),
            )


def _toeplitz(spectrum: Tensor, here: slice, there: slice) -> Tensor:
    """(f, k, 2W - 1, u, 2) -> (f, columns k, context u 2)"""
    reach = there.stop - there.start
    windows = spectrum.unfold(2, reach, 1)[:, :, here.start + there.start : here.stop + there.start]
    return windows.permute(0, 2, 1, 5, 3, 4).flatten(1, 2).flatten(2)


def _add_toeplitz(spectrum: Tensor, here: slice, there: slice, grad: Tensor) -> None:
    """The adjoint of `_toeplitz`, added to the gradient of the spectrum."""
    f, k, _, u, _ = spectrum.shape
    reach = there.stop - there.start
    for x, part in enumerate(grad.view(f, -1, k, reach, u, 2).unbind(1), here.start + there.start):
        spectrum[:, :, x : x + reach] += part


def _reached(signal: Tensor, there: slice, u: int) -> Tensor:
    """What a tile reaches of a signal (2, f, W u, 2, b v): (2, f, context u 2, b v), in place."""
    return signal[:, :, there.start * u : there.stop * u].flatten(2, 3)


def _tile(x: Tensor, here: slice, size: positions.Size) -> Tensor:
    """Some columns of (b, h, n, d) -> (b, H columns, h, d)"""
    return x.unflatten(2, size)[:, :, :, here].permute(0, 2, 3, 1, 4).flatten(1, 2).contiguous()


def _put(tile: Tensor, place: Tensor, here: slice, size: positions.Size) -> None:
    """(b, H columns, h, d) into some columns of (b, h, n, d)"""
    place.unflatten(2, size)[:, :, :, here] = tile.unflatten(1, (size[0], -1)).permute(0, 3, 1, 2, 4)


class _Examples:
    """Some examples that are worked off together: their signal, and their lambdas."""

    def __init__(self, plan: _Plan, v: Tensor, content: Tensor) -> None:
        self.b, _, self.values, self.u = v.shape
        self.plan, self.content, self.columns = plan, content, self.b * self.values
        self.signal = plan.signal(v)

    def constant(self, spectrum: Tensor) -> Tensor:
        """Frequency 0, the sum down a column: (2, f, columns k, b v) -> (columns, b, k, v)"""
        return spectrum[0, 0].view(-1, self.content.shape[1], self.b, self.values).transpose(1, 2)

    def lambdas(self, matrices: Tensor, reached: Tensor) -> Tensor:
        """λc + λp -> (H, columns, k, b, v)"""
        spectrum = matrices.new_empty(2, *matrices.shape[:2], self.columns)
        for part, place in zip(reached, spectrum, strict=True):
            torch.bmm(matrices, part, out=place)
        self.constant(spectrum).add_(self.content, alpha=self.plan.length)
        found = product(self.plan.synthesise, spectrum.view(2 * self.plan.f, -1))
        return found.view(self.plan.size[0], -1, self.content.shape[1], self.b, self.values)


def output(q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size) -> Tensor:
    """y_n = (λc + λp_n)ᵀ q_n.  (b, h, n, k), (b, m, v, u), (k, u, R, C), (b, k, v) -> (b, h, n, v)"""
    y, plan = empty_output(q, v), _Plan(table, size)
    spectrum, together = plan.spectrum(table), _together(v)
    groups = [_Examples(plan, *parts) for parts in zip(v.split(together), content.split(together), strict=True)]
    for here, there in plan.tiles(_width(plan, v, content)):
        matrices = _toeplitz(spectrum, here, there)
        for group, part_q, part_y in zip(groups, q.split(together), y.split(together), strict=True):
            lambdas = group.lambdas(matrices, _reached(group.signal, there, group.u)).flatten(0, 1)
            queries = _tile(part_q, here, size)
            heads = queries.new_empty(*queries.shape[:3], group.values)
            for i, each in enumerate(queries):
                torch.bmm(each, lambdas[:, :, i], out=heads[i])
            _put(heads, part_y, here, size)
    return y


def gradients(
    dy: Tensor, q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, v, the table and λc for dy (b, h, n, v)."""
    dq, dv, plan = torch.empty_like(q), torch.empty_like(v), _Plan(table, size)
    dcontent = torch.zeros_like(content)
    spectrum = plan.spectrum(table)
    dspectrum = torch.zeros_like(spectrum)
    for part_dy, part_q, part_v, part_content, part_dq, part_dv, part_dcontent in zip(
        *(x.split(_together(v)) for x in (dy, q, v, content, dq, dv, dcontent)), strict=True
    ):
        examples = _Examples(plan, part_v, part_content)
        dsignal = torch.zeros_like(examples.signal)
        for here, there in plan.tiles(_width(plan, v, content)):
            matrices, reached = _toeplitz(spectrum, here, there), _reached(examples.signal, there, examples.u)
            lambdas = examples.lambdas(matrices, reached).flatten(0, 1)  # (H columns, k, b, v)
            queries, heads = _tile(part_q, here, size), _tile(part_dy, here, size)  # (b, H columns, h, k or v)
            dqueries = torch.empty_like(queries)
            for i, each in enumerate(heads):
                torch.bmm(each, lambdas[:, :, i].transpose(1, 2), out=dqueries[i])
            _put(dqueries, part_dq, here, size)
            dlambdas = queries.flatten(0, 1).transpose(1, 2) @ heads.flatten(0, 1)
            lambdas.copy_(dlambdas.view(examples.b, *lambdas.shape[:2], -1).permute(1, 2, 0, 3))
            del dlambdas, queries, heads, dqueries  # the first lie where the lambdas were
            dtile = product(plan.synthesise.t(), lambdas.view(size[0], -1)).view(2, *matrices.shape[:2], -1)
            del lambdas
            part_dcontent += examples.constant(dtile).sum(0).mul(plan.length)
            dmatrices = torch.bmm(dtile[0], reached[0].mT).baddbmm_(dtile[1], reached[1].mT)
            for part, place in zip(dtile, _reached(dsignal, there, examples.u), strict=True):
                place.baddbmm_(matrices.mT, part)
            del dtile
            _add_toeplitz(dspectrum, here, there, dmatrices)
            del matrices, reached, dmatrices  # or the next tile's come on top
        del examples
        part_dv.copy_(plan.values(dsignal, part_v))
    return dq, dv, plan.table(dspectrum, table), dcontent


def _together(v: Tensor) -> int:
    """Examples that are worked off together."""
    return max(1, COLUMNS // v.shape[2])


def _width(plan: _Plan, v: Tensor, content: Tensor) -> int:
    """Columns of a tile, for as many examples as are worked off together: the cores' own caches hold its spectrum."""
    numbers = content.shape[1] * min(len(v), _together(v)) * v.shape[2]
    cores = min(CORES, torch.get_num_threads()) if v.device.type == "cpu" else 1
    return tile_columns(plan.size[1], 2 * plan.f * numbers, room(v) * cores)


def tile_columns(width: int, numbers: int, room: int) -> int:
    """Columns of a tile, all about as wide, where the spectrum of one column has so many numbers."""
    most = max(4, 3 * room // (8 * max(1, numbers)))  # none in an empty batch
    return -(-width // -(-width // most))


engine = operator("gemm", output, gradients)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds, passes over the lambdas counted as such, and numbers stored: spectra, matrices, a tile."""
    b, h, n, k = q
    _, _, values, u = v
    rows, columns = positions.cropped_size(table[2:], size)
    height, width = size
    parts, together = 2 * ((height + rows // 2) // 2 + 1), min(b, max(1, COLUMNS // values)) * values
    tile = tile_columns(width, parts * k * together, CACHE)
    reach = min(width, tile + 2 * (columns // 2))
    operations = b * n * k * values * (parts * (2 * reach * u + height) // height + h + PASSES)
    spectra = 2 * parts * width * u * (2 * k + max(b * values, 2 * together))
    return operations, spectra + 2 * parts * tile * k * (reach * u + together)
