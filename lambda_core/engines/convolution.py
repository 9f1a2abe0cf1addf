"""Lambda first, as a convolution: E depends on the offset alone, so the position lambdas are V correlated with E.

The lambdas are made for some examples at a time, and again in the backward pass. There a convolution as large as the
map itself gives way to Fourier transforms when E is large: one of the lambdas' gradient serves both dV and dE.
"""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from lambda_core import positions
from lambda_core.engines import fft
from lambda_core.engines.operator import CACHE, empty_output, operator, room

PASSES = 2048  # multiply-adds, which are fast here, that take as long as the passes over one lambda entry
TRANSFORM = 16  # multiply-adds that take as long as one of a transform
LARGE = 50  # offsets, from which on the backward pass transforms


def _padding(kernel: Tensor) -> positions.Size:
    return kernel.shape[-2] // 2, kernel.shape[-1] // 2


def _maps(v: Tensor, size: positions.Size) -> Tensor:
    """(b, m, v, u) -> (b v, u, H, W)"""
    return v.permute(0, 2, 3, 1).reshape(-1, v.shape[3], *size)


def position_lambdas(v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """λp_n = sum over m, u of E_nmku V_mvu.  (b, m, v, u), (k, u, R, C) -> (b, n, k, v)"""
    kernel, maps = positions.crop(table, size), _maps(v, size)
    # On a CPU the gradient of a kernel of 2 H - 1 rows ends up beyond its memory where the map or the kernel is narrow
    # (seen in torch 2.14.1). A row more, of zeros, and the kernel is not as high as that.
    maps = F.pad(maps, (0, 0, 0, 1)) if kernel.shape[2] > size[0] else maps
    lambdas = F.conv2d(maps, kernel, padding=_padding(kernel))[:, :, : size[0]]
    return lambdas.unflatten(0, (len(v), v.shape[2])).flatten(3).permute(0, 3, 2, 1)


def _together(q: Tensor, v: Tensor) -> int:
    """Examples that are worked off together."""
    return max(1, room(v) // (q.shape[2] * q.shape[3] * v.shape[2]))


def output(q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size) -> Tensor:
    """y_n = (λc + λp_n)ᵀ q_n.  (b, h, n, k), (b, m, v, u), (k, u, R, C), (b, k, v) -> (b, h, n, v)"""
    y = empty_output(q, v)
    for part_q, part_v, part_content, part_y in zip(
        *(x.split(_together(q, v)) for x in (q, v, content, y)), strict=True
    ):
        lambdas = position_lambdas(part_v, table, size).add_(part_content[:, None])
        part_y.copy_((part_q.transpose(1, 2) @ lambdas).transpose(1, 2))
    return y


def gradients(
    dy: Tensor, q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, v, the table and λc for dy (b, h, n, v)."""
    rows, columns = positions.cropped_size(table.shape[2:], size)
    if rows * columns > LARGE or rows > size[0]:  # see `position_lambdas`
        return fft.gradients(dy, q, v, table, content, size)
    dq, dv, dtable = torch.empty_like(q), torch.empty_like(v), torch.zeros_like(table)
    dcontent = torch.empty_like(content)
    kernel, dkernel = positions.crop(table, size), positions.crop(dtable, size)
    for part_dy, part_q, part_v, part_content, part_dq, part_dv, part_dcontent in zip(
        *(x.split(_together(q, v)) for x in (dy, q, v, content, dq, dv, dcontent)), strict=True
    ):
        queries, heads, maps = part_q.transpose(1, 2), part_dy.transpose(1, 2), _maps(part_v, size)
        lambdas = position_lambdas(part_v, table, size).add_(part_content[:, None])
        part_dq.copy_((heads @ lambdas.transpose(2, 3)).transpose(1, 2))
        dlambdas = queries.transpose(2, 3) @ heads  # (b, n, k, v)
        part_dcontent.copy_(dlambdas.sum(1))
        dmaps = dlambdas.permute(0, 3, 2, 1).reshape(len(maps), -1, *size)
        found = conv2d_input(maps.shape, kernel, dmaps, padding=_padding(kernel))
        part_dv.copy_(found.view(len(part_v), *v.shape[2:], -1).permute(0, 3, 1, 2))
        dkernel += conv2d_weight(maps, kernel.shape, dmaps, padding=_padding(kernel))
    return dq, dv, dtable, dcontent


engine = operator("convolution", output, gradients)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds, transforms counted as such, and numbers stored: the lambdas of some examples and their
    gradients, in three layouts each."""
    b, h, n, k = q
    _, _, values, u = v
    rows, columns = positions.cropped_size(table[2:], size)
    lambdas = n * k * values
    operations = b * lambdas * (rows * columns * u + h + PASSES)
    if rows * columns > LARGE:
        operations += TRANSFORM * fft.cost(q, v, table, size)[0]
    return operations, 6 * lambdas * min(b, max(1, CACHE // lambdas))
