"""The bottleneck block of ResNet, with any layer in its middle."""

from collections.abc import Callable

from torch import Tensor, nn

from lambda_core.models.recompute import Block


class Bottleneck(Block):
    """act(shortcut(x) + end(norm(1x1(act(norm(mix(act(norm(1x1(x))))))))), widths dim -> width -> width -> dim_out.

    `mix(width, stride=stride)` makes the layer in the middle, which carries the stride; `end(dim_out)` a unit that
    keeps the shape, such as squeeze-excite, or none. The shortcut is the identity where shapes allow it, else a strided
    1x1 convolution with norm (He et al. 2016). The last norm starts at zero, so that a block starts as its shortcut;
    in training, it is its shortcut for a share `drop_path` of the images.
    """

    def __init__(
        self,
        dim: int,
        width: int,
        dim_out: int,
        stride: int,
        mix: Callable[..., nn.Module],
        act: Callable[..., nn.Module] = nn.ReLU,
        end: Callable[[int], nn.Module] | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(dim, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.mix = mix(width, stride=stride)
        self.norm2 = nn.BatchNorm2d(width)
        self.expand = nn.Conv2d(width, dim_out, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(dim_out)
        self.end = nn.Identity() if end is None else end(dim_out)
        self.drop_path = _stochastic_depth(drop_path)
        self.act = act(inplace=True)
        self.shortcut = nn.Sequential()
        if stride > 1 or dim != dim_out:
            self.shortcut = nn.Sequential(nn.Conv2d(dim, dim_out, 1, stride, bias=False), nn.BatchNorm2d(dim_out))
        nn.init.zeros_(self.norm3.weight)

    def run(self, x: Tensor) -> Tensor:
        y = self.act(self.norm1(self.reduce(x)))
        y = self.act(self.norm2(self.mix(y)))
        y = self.drop_path(self.end(self.norm3(self.expand(y))))
        return self.act(y + self.shortcut(x))


def _stochastic_depth(share: float) -> nn.Module:
    if not share:
        return nn.Identity()
    from torchvision.ops import StochasticDepth  # here, since importing it takes a second

    return StochasticDepth(share, "row")
