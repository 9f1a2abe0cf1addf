"""Lambda first, as a convolution: E depends on the offset alone, so the position lambdas are V correlated with E."""

from torch import Tensor
from torch.nn import functional as F

from lambda_core import positions


def position_lambdas(v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """(b, m, v, u), (k, u, R, C) -> (b, n, k, v): one u -> k channel correlation for every value channel."""
    b, _, values, u = v.shape
    kernel = positions.crop(table, size)
    maps = v.permute(0, 2, 3, 1).reshape(b * values, u, *size)
    padding = (kernel.shape[-2] // 2, kernel.shape[-1] // 2)
    out = F.conv2d(maps, kernel, padding=padding)  # (b v, k, H, W)
    return out.view(b, values, kernel.shape[0], -1).permute(0, 3, 2, 1)


def position_output(q: Tensor, v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """(b, h, n, k), (b, m, v, u), (k, u, R, C) -> (b, h, n, v)"""
    return (q.transpose(1, 2) @ position_lambdas(v, table, size)).transpose(1, 2)
