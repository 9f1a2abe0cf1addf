"""Lambda first, as a convolution: E depends on the offset alone, so the position lambdas are V correlated with E."""

from torch import Tensor
from torch.nn import functional as F

from lambda_core import positions


def _correlate(v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """(b, m, v, u), (k, u, R, C) -> (b, v, k, n): one u -> k channel correlation for every value channel."""
    b, _, values, u = v.shape
    kernel = positions.crop(table, size)
    maps = v.permute(0, 2, 3, 1).reshape(b * values, u, *size)
    padding = (kernel.shape[-2] // 2, kernel.shape[-1] // 2)
    return F.conv2d(maps, kernel, padding=padding).reshape(b, values, kernel.shape[0], -1)


def position_lambdas(v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """λp_n = sum over m, u of E_nmku V_mvu.  (b, m, v, u), (k, u, R, C) -> (b, n, k, v)"""
    return _correlate(v, table, size).permute(0, 3, 2, 1)


def position_output(q: Tensor, v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """y_n = λp_nᵀ q_n for every head.  (b, h, n, k), (b, m, v, u), (k, u, R, C) -> (b, h, n, v)"""
    lambdas = _correlate(v, table, size).permute(0, 3, 1, 2)  # (b, n, v, k)
    return (lambdas @ q.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds, those on the padding too, and numbers stored: the lambdas, in two layouts."""
    b, h, n, k = q
    _, _, values, u = v
    rows, columns = positions.cropped_size(table[2:], size)
    return b * n * k * values * (rows * columns * u + h), 2 * b * n * k * values
