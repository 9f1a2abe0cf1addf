"""ResNets in which any stage, or any block, may carry another layer than the 3x3 convolution."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lambda_core.layers import LAYERS, LambdaLayer
from lambda_core.models.blocks import Bottleneck


@dataclass(frozen=True)
class Config:
    """A ResNet: `depths` blocks a stage, `widths` of their bottlenecks (outputs are `expansion` times wider).

    stages: see `parse_stages`. stem: (kernel, channels, stride) of each convolution, then a 3x3 max-pool of stride 2
    if `pool`. strides: of the first block of each stage. layer: options of the lambda layers, for all stages or
    {stage number from 1: options} where they differ. num_classes=0 leaves out the classifier.
    """

    depths: tuple[int, ...]
    stages: str = "CCCC"
    widths: tuple[int, ...] = (64, 128, 256, 512)
    expansion: int = 4
    strides: tuple[int, ...] = (1, 2, 2, 2)
    stem: tuple[tuple[int, int, int], ...] = ((7, 64, 2),)
    pool: bool = True
    num_classes: int = 1000
    dropout: float = 0.0
    layer: Mapping[str, Any] = field(default_factory=dict)


FAMILY: dict[str, Config] = {
    "resnet26": Config((2, 2, 2, 2)),
    "resnet50": Config((3, 4, 6, 3)),
    "resnet101": Config((3, 4, 23, 3)),
    "resnet152": Config((3, 8, 36, 3)),
    # For photographs of 96 to 160 px: two strided 3x3 convolutions for a stem, the third stage at a stride of 8.
    "lambda_resnet_mini": Config(
        (1, 2, 2, 2),
        stages="CCLL",
        widths=(32, 64, 128, 192),
        strides=(1, 2, 1, 2),
        stem=((3, 32, 2), (3, 64, 2)),
        pool=False,
        layer={"scope": 11},
    ),
}


def parse_stages(stages: str, depths: tuple[int, ...]) -> list[str]:
    """The letter of each block, one string a stage.

    "CCLL" has a letter a stage. "C-C-CL-L" has a dash between stages and, in each, one letter for all its blocks or
    a pattern whose length divides their number: CL in a stage of six blocks is CLCLCL.
    """
    parts = stages.split("-") if "-" in stages else list(stages)
    if len(parts) != len(depths):
        raise ValueError(f"stages={stages!r} names {len(parts)} stages, this network has {len(depths)}")
    for number, (part, depth) in enumerate(zip(parts, depths, strict=True), start=1):
        unknown = sorted(set(part) - set(LAYERS))
        if unknown or not part:
            known = ", ".join(f"{letter} ({layer.__name__})" for letter, layer in LAYERS.items())
            raise ValueError(f"stages={stages!r}: stage {number} has {''.join(unknown) or 'no letter'!r}; use {known}")
        if depth % len(part):
            raise ValueError(
                f"stages={stages!r}: stage {number} has {depth} blocks, which {len(part)} letters do not divide"
            )
    return [part * (depth // len(part)) for part, depth in zip(parts, depths, strict=True)]


class ResNet(nn.Module):
    """stem -> stages -> average pool -> linear.  (b, 3, H, W) -> (b, num_classes), raw scores."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.stem, dim = _stem(config), config.stem[-1][1]
        stages = []
        for index, letters in enumerate(parse_stages(config.stages, config.depths)):
            blocks = []
            for number, letter in enumerate(letters):
                stride, width = config.strides[index] if number == 0 else 1, config.widths[index]
                options = _layer_options(config.layer, index + 1) if LAYERS[letter] is LambdaLayer else {}
                make = LAYERS[letter]
                blocks.append(
                    Bottleneck(
                        dim,
                        width,
                        width * config.expansion,
                        stride,
                        lambda w, s, make=make, options=options: make(w, stride=s, **options),
                    )
                )
                dim = width * config.expansion
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(dim, config.num_classes) if config.num_classes else nn.Identity()
        self.num_features = dim
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        return self.stages(self.stem(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.dropout(self.forward_features(x).mean((2, 3))))


def _stem(config: Config) -> nn.Sequential:
    parts: list[nn.Module] = []
    dim = 3
    for kernel, channels, stride in config.stem:
        parts += [
            nn.Conv2d(dim, channels, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        dim = channels
    if config.pool:
        parts.append(nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*parts)


def _layer_options(layer: Mapping[Any, Any], stage: int) -> dict[str, Any]:
    """Options for one stage: those without a stage number, then those under its number (int, or str as in JSON)."""
    shared = {name: value for name, value in layer.items() if not str(name).isdigit()}
    return shared | dict(layer.get(stage, layer.get(str(stage), {})))
