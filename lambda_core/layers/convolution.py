"""The 3x3 convolution that the other layers stand in for."""

from torch import nn


class Convolution(nn.Conv2d):
    """3x3, no bias, padded: (b, dim, H, W) -> (b, dim_out, H / stride, W / stride)."""

    def __init__(self, dim: int, dim_out: int | None = None, *, stride: int = 1) -> None:
        super().__init__(dim, dim if dim_out is None else dim_out, 3, stride=stride, padding=1, bias=False)
