"""Channel attention: each channel is scaled by a gate that sees the mean of every channel."""

from typing import ClassVar

from torch import Tensor, nn

from lambda_core.layers.convolution import ConvolutionThen
from lambda_core.layers.face import check_shares


class SqueezeExcite(nn.Module):
    """x · sigmoid(W2 relu(W1 mean(x) + b1) + b2), the mean over positions: (b, dim, H, W) -> the same.

    ratio: hidden channels to channels. (Hu et al. 2018, "Squeeze-and-Excitation Networks", which takes 1/16.)
    """

    def __init__(self, dim: int, *, ratio: float = 1 / 16) -> None:
        super().__init__()
        check_shares(ratio=ratio)
        hidden = max(1, round(dim * ratio))
        self.squeeze = nn.Conv2d(dim, hidden, 1)
        self.act = nn.ReLU(inplace=True)
        self.excite = nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * self.excite(self.act(self.squeeze(means))).sigmoid()


class SqueezeExciteConvolution(ConvolutionThen):
    """A 3x3 convolution, then `SqueezeExcite`."""

    Unit: ClassVar = SqueezeExcite
