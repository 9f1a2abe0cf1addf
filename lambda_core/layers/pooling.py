"""The stride of a layer that runs at full resolution: an average of what is there, rounded up."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lambda_core.layers.face import check_counts


def average(x: Tensor, dims: int, stride: int) -> Tensor:
    """A pool of (b, c, *sides) whose windows may reach beyond the map, rows, columns and all counted as they are there.

    What `ceil_mode` does, in operations whose gradient Inductor derives: that of `ceil_mode` it gets wrong where a side
    is no multiple of the stride (PyTorch 2.14).
    """
    sides = x.shape[2:]
    pad = [number for side in reversed(sides) for number in (0, -side % stride)]
    pooled = (F.avg_pool1d if dims == 1 else F.avg_pool2d)(F.pad(x, pad), stride)
    for axis, side in enumerate(sides):
        there = (side - stride * torch.arange(pooled.shape[2 + axis], device=x.device)).clamp(max=stride)
        scale = (stride / there).to(x.dtype)
        pooled = pooled * scale.view([-1 if other == axis else 1 for other in range(dims)])
    return pooled


def _one(stride: int | tuple[int, ...]) -> int:
    return stride if isinstance(stride, int) else stride[0]


class AveragePool1d(nn.AvgPool1d):
    def forward(self, x: Tensor) -> Tensor:
        rounded_up = self.ceil_mode and torch.compiler.is_compiling()
        return average(x, 1, _one(self.stride)) if rounded_up else super().forward(x)


class AveragePool2d(nn.AvgPool2d):
    def forward(self, x: Tensor) -> Tensor:
        rounded_up = self.ceil_mode and torch.compiler.is_compiling()
        return average(x, 2, _one(self.stride)) if rounded_up else super().forward(x)


def pooling(stride: int) -> nn.Module:
    """An average over squares, rounded up; nothing for a stride of 1."""
    check_counts(stride=stride)
    return AveragePool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
