"""Lambda first, by fast Fourier transforms on both axes: n log n for any scope, a global one included.

The position lambdas are V correlated with E, so their spectrum is the product of two. They are made for some k at a
time and summed into the output, and the backward pass makes them again: memory grows with n, not with the scope. There
one transform of the lambdas' gradient serves both dV and dE.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from lambda_core import positions
from lambda_core.engines.operator import CACHE, empty_output, operator, room

PASSES = 32  # operations that take as long as the other passes over one lambda entry
LOG = 12  # to base 2, of the points of a transform, about; torch.compile traces this sum


def fast_length(least: int) -> int:
    """The next length 2^a 3^b 5^c, which fast transforms are fast for."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def lengths(table: torch.Size, size: positions.Size) -> positions.Size:
    """Of the transforms: what they wrap around falls on positions that are not there."""
    rows, columns = positions.cropped_size(table[2:], size)
    return fast_length(size[0] + rows // 2), fast_length(size[1] + columns // 2)


def _transform(maps: Tensor, padded: positions.Size) -> Tensor:
    """(..., H, W) -> (..., f, rows): rows last, which is what the inverse reads."""
    return torch.fft.fft(torch.fft.rfft(maps, n=padded[1]).transpose(-2, -1), n=padded[0])


def _inverse(spectrum: Tensor, padded: positions.Size, size: positions.Size) -> Tensor:
    """(..., f, rows) -> (..., H, W), the first of the rows and columns that were padded."""
    rows = torch.fft.ifft(spectrum)[..., : size[0]].transpose(-2, -1)
    return torch.fft.irfft(rows, n=padded[1])[..., : size[1]]


def _kernel_spectrum(table: Tensor, size: positions.Size, padded: positions.Size) -> Tensor:
    """(k, u, R, C) -> (k, u, f, rows), offset (0, 0) first."""
    kernel = positions.crop(table, size)
    rows, columns = kernel.shape[2:]
    kernel = F.pad(kernel, (0, padded[1] - columns, 0, padded[0] - rows))
    return _transform(kernel.roll((-(rows // 2), -(columns // 2)), (2, 3)), padded)


def _kernel_adjoint(spectrum: Tensor, like: Tensor, size: positions.Size, padded: positions.Size) -> Tensor:
    """The gradient of the table for that of the kernel's spectrum."""
    result = torch.zeros_like(like)
    inside = positions.crop(result, size)
    rows, columns = inside.shape[2:]
    offsets = _inverse(spectrum, padded, padded).roll((rows // 2, columns // 2), (2, 3))
    inside.copy_(offsets[:, :, :rows, :columns])
    return result


def _value_spectrum(v: Tensor, size: positions.Size, padded: positions.Size) -> Tensor:
    """(b, m, v, u) -> (u, b, v, f, rows)"""
    return _transform(v.permute(3, 0, 2, 1).unflatten(3, size), padded)


def _lambdas(kernel: Tensor, values: Tensor, content: Tensor, size: positions.Size, padded: positions.Size) -> Tensor:
    """λc + λp_n.  (k, u, f, rows), (u, b, v, f, rows), (b, k, v) -> (b n, k, v)"""
    # conj_physical, not conj: compiled code runs this function where a lazy conjugate is forgotten (torch 2.15)
    spectrum = kernel[:, 0].conj_physical()[None, :, None] * values[0][:, None]  # (b, k, v, f, rows)
    for u in range(1, len(values)):
        spectrum += kernel[:, u].conj_physical()[None, :, None] * values[u][:, None]
    spectrum[..., 0, 0] += content * (padded[0] * padded[1])  # the same at every position: frequency 0
    maps = _inverse(spectrum, padded, size)
    return maps.permute(0, 3, 4, 1, 2).flatten(0, 2)


def _chunks(v: Tensor, k: int, padded: positions.Size) -> list[slice]:
    """Which k are worked off together."""
    step = max(1, room(v) // (v.shape[0] * v.shape[2] * padded[0] * padded[1]))
    return [slice(start, min(start + step, k)) for start in range(0, k, step)]


def _each(x: Tensor) -> Tensor:
    """(b, h, n, d) -> (b n, h, d)"""
    return x.transpose(1, 2).flatten(0, 1)


def output(q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size) -> Tensor:
    """y_n = (λc + λp_n)ᵀ q_n.  (b, h, n, k), (b, m, v, u), (k, u, R, C), (b, k, v) -> (b, h, n, v)"""
    y, padded, queries = empty_output(q, v), lengths(table.shape, size), _each(q)
    kernel, values = _kernel_spectrum(table, size, padded), _value_spectrum(v, size, padded)
    heads = v.new_zeros(queries.shape[0], q.shape[1], v.shape[2])
    for ks in _chunks(v, q.shape[3], padded):
        heads.baddbmm_(queries[:, :, ks], _lambdas(kernel[ks], values, content[:, ks], size, padded))
    return y.copy_(heads.unflatten(0, (len(q), -1)).transpose(1, 2))


def gradients(
    dy: Tensor, q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, v, the table and λc for dy (b, h, n, v)."""
    dq, dv, padded = torch.empty_like(q), torch.empty_like(v), lengths(table.shape, size)
    dcontent = torch.empty_like(content)
    kernel, values = _kernel_spectrum(table, size, padded), _value_spectrum(v, size, padded)
    dkernel, dvalues = torch.zeros_like(kernel), torch.zeros_like(values)
    queries, heads = _each(q), _each(dy)
    for ks in _chunks(v, q.shape[3], padded):
        dqueries = heads @ _lambdas(kernel[ks], values, content[:, ks], size, padded).transpose(1, 2)
        dq[..., ks] = dqueries.unflatten(0, (len(q), -1)).transpose(1, 2)
        dlambdas = queries[:, :, ks].transpose(1, 2) @ heads  # (b n, k, v)
        maps = dlambdas.unflatten(0, (len(q), *size)).permute(3, 0, 4, 1, 2)
        for k, spectrum in enumerate(_transform(maps, padded), ks.start):  # (b, v, f, rows)
            dcontent[:, k] = spectrum[:, :, 0, 0].real
            for u in range(len(values)):
                dvalues[u].addcmul_(spectrum, kernel[k, u])
                dkernel[k, u] = (spectrum.conj_physical() * values[u]).sum((0, 1))
    found = _inverse(dvalues, padded, size)
    dv.copy_(found.flatten(3).permute(1, 3, 2, 0))
    return dq, dv, _kernel_adjoint(dkernel, table, size, padded), dcontent


engine = operator("fft", output, gradients)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds, n times LOG for each transform, and numbers stored: spectra, of V, of E and of some lambdas."""
    b, h, n, k = q
    _, _, values, u = v
    rows, columns = positions.cropped_size(table[2:], size)
    points = (size[0] + rows // 2) * (size[1] + columns // 2)
    transforms = b * values * (k + u) + k * u
    operations = transforms * points * (LOG + u) + b * n * k * values * (h + PASSES)
    signals, lambdas = b * values * points, min(b * values * k * points, max(b * values * points, CACHE))
    return operations, 4 * (signals * u + lambdas) + 3 * k * u * points
