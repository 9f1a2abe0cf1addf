"""The 3x3 convolution that the other layers stand in for, and those that go with it."""

from typing import Any, ClassVar

from torch import Tensor, nn

from lambda_core.layers.face import check_counts, check_map


class Convolution(nn.Conv2d):
    """3x3, no bias, padded: (b, dim, H, W) -> (b, dim_out, H / stride, W / stride)."""

    def __init__(self, dim: int, dim_out: int | None = None, *, stride: int = 1) -> None:
        dim_out = dim if dim_out is None else dim_out
        check_counts(dim=dim, dim_out=dim_out, stride=stride)
        super().__init__(dim, dim_out, 3, stride=stride, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        check_map(self, input, self.in_channels)
        return super().forward(input)


class ConvolutionThen(nn.Module):
    """A 3x3 convolution, then `Unit`, which keeps the shape: (b, dim, H, W) -> (b, dim_out, H / stride, W / stride).

    A bottleneck block sets the two apart: the convolution in its middle and the unit at its end, on the widest map,
    which is where the sources have it and what the parameter counts of Bello 2021 say.
    """

    Unit: ClassVar[type[nn.Module]]

    def __init__(self, dim: int, dim_out: int | None = None, *, stride: int = 1, **options: Any) -> None:
        super().__init__()
        self.convolution = Convolution(dim, dim_out, stride=stride)
        self.unit = self.Unit(dim if dim_out is None else dim_out, **options)

    def forward(self, x: Tensor) -> Tensor:
        check_map(self, x, self.convolution.in_channels)
        return self.unit(self.convolution(x))
