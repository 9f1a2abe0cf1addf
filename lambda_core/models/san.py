"""SAN, the network of patchwise self-attention, which is no ResNet: norms come first and strides are max-pools."""

from dataclasses import dataclass

from torch import Tensor, nn

from lambda_core.layers import PatchwiseAttention
from lambda_core.models.config import check_rows
from lambda_core.models.head import Classifying, check_channels, check_classes, linear
from lambda_core.models.recompute import Block


@dataclass(frozen=True)
class SanConfig:
    """A SAN: `depths` blocks of `widths` channels a stage, which see `windows`; each stage starts with a max-pool."""

    depths: tuple[int, ...]
    widths: tuple[int, ...] = (64, 256, 512, 1024, 2048)
    windows: tuple[int, ...] = (3, 7, 7, 7, 7)
    num_classes: int = 1000
    in_chans: int = 3


SANS: dict[str, SanConfig] = {
    "san10": SanConfig((2, 1, 2, 4, 1)),
    "san15": SanConfig((3, 2, 3, 5, 2)),
    "san19": SanConfig((3, 3, 4, 6, 3)),
}


class SanBlock(Block):
    """x + 1x1(relu(norm(attention(relu(norm(x)))))), the attention a quarter as wide as x."""

    def __init__(self, dim: int, window: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(dim)
        self.mix = PatchwiseAttention(dim, dim // 4, window=window, dim_k=dim // 16)
        self.norm2 = nn.BatchNorm2d(dim // 4)
        self.expand = nn.Conv2d(dim // 4, dim, 1)
        self.act = nn.ReLU()

    def run(self, x: Tensor) -> Tensor:
        y = self.mix(self.act(self.norm1(x)))
        return x + self.expand(self.act(self.norm2(y)))


class San(Classifying):
    """1x1 -> stages of max-pool, 1x1, blocks -> average pool -> linear.  (b, in_chans, H, W) -> (b, num_classes).

    (Zhao et al. 2020, "Exploring Self-attention for Image Recognition", patchwise.) H and W: at least 2 for each stage
    in powers, 32 for five. out_channels, out_strides: of the map after each stage, as `forward_pyramid` returns them.
    """

    def __init__(self, config: SanConfig) -> None:
        super().__init__()
        check_rows(config, "depths", "widths", "windows")
        self.config = config
        dim = config.widths[0]
        entry = nn.Conv2d(check_channels(config.in_chans), dim, 1, bias=False)
        self.stem = nn.Sequential(entry, nn.BatchNorm2d(dim), nn.ReLU(inplace=True))
        self.stages = nn.Sequential()
        for depth, width, window in zip(config.depths, config.widths, config.windows, strict=True):
            self.stages.append(
                nn.Sequential(
                    nn.MaxPool2d(2),
                    nn.Conv2d(dim, width, 1, bias=False),
                    *(SanBlock(width, window) for _ in range(depth)),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                )
            )
            dim = width
        self.out_channels, self.out_strides = list(config.widths), [2 ** (i + 1) for i in range(len(config.widths))]
        self.dropout = nn.Identity()
        self.classify = linear(dim, check_classes(config.num_classes))
        self.num_features = dim
