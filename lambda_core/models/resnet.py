"""ResNets in which any stage, or any block, may carry another layer than the 3x3 convolution."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from typing import Any

from torch import Tensor, nn

from lambda_core.layers import LAYERS, LambdaLayer
from lambda_core.models.blocks import Bottleneck

ACTS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}


@dataclass(frozen=True)
class Config:
    """A ResNet: `depths` blocks a stage, `widths` of their bottlenecks (outputs are `expansion` times wider).

    stages: see `parse_stages`. stem: (kernel, channels, stride) of each convolution, then a 3x3 max-pool of stride 2
    if `pool`. strides: of the first block of each stage. act: the activation, a name in ACTS. layer: options of the
    lambda layers, for all stages, and under a stage's number (from 1) those that differ there; in these, under a
    block's number, those that differ in that block. num_classes=0 leaves out the classifier.
    """

    depths: tuple[int, ...]
    stages: str = "CCCC"
    widths: tuple[int, ...] = (64, 128, 256, 512)
    expansion: int = 4
    strides: tuple[int, ...] = (1, 2, 2, 2)
    stem: tuple[tuple[int, int, int], ...] = ((7, 64, 2),)
    pool: bool = True
    act: str = "relu"
    num_classes: int = 1000
    dropout: float = 0.0
    layer: Mapping[Any, Any] = field(default_factory=dict)


_RESNETS = {
    "resnet26": Config((2, 2, 2, 2)),
    "resnet50": Config((3, 4, 6, 3)),
    "resnet101": Config((3, 4, 23, 3)),
    "resnet152": Config((3, 8, 36, 3)),
}

# The lambda networks of timm, with its weights: `lambda_core.checkpoints.from_timm`.
_TIMM = Config(
    (2, 2, 2, 2),
    stages="C-C-CL-L",
    stem=((3, 24, 2), (3, 32, 1), (3, 64, 1)),
    layer={"scope": 9, "position_bias": True},
)
_TIMM_GLOBAL = {"scope": None, 3: {"size": (16, 16)}, 4: {"size": (16, 16), 2: {"size": (8, 8)}}}  # at 256 px

FAMILY: dict[str, Config] = {
    **_RESNETS,
    **{f"lambda_{name}": replace(config, stages="LLLL") for name, config in _RESNETS.items()},
    "lambda_resnet26t": _TIMM,
    "lambda_resnet26rpt_256": replace(_TIMM, layer=_TIMM_GLOBAL),
    "lambda_resnet50ts": replace(_TIMM, depths=(3, 4, 6, 3), stages="C-CCCL-CL-CLC", act="silu"),
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
    a pattern whose length divides their number: CL in a stage of six blocks is CLCLCL. Raises ValueError for a string
    that does not fit.
    """
    parts = stages.split("-") if "-" in stages else list(stages)
    if len(parts) != len(depths):
        raise ValueError(f"stages={stages!r} names {len(parts)} stages, but this network has {len(depths)}")
    for number, (part, depth) in enumerate(zip(parts, depths, strict=True), start=1):
        unknown = sorted(set(part) - set(LAYERS))
        if unknown or not part:
            found = f"the unknown letter {unknown[0]!r}" if unknown else "no letter"
            known = ", ".join(f"{letter} ({layer.__name__})" for letter, layer in LAYERS.items())
            raise ValueError(f"stages={stages!r} has {found} in stage {number}; there are {known}")
        if depth % len(part):
            raise ValueError(f"stages={stages!r} has {len(part)} letters for the {depth} blocks of stage {number}")
    return [part * (depth // len(part)) for part, depth in zip(parts, depths, strict=True)]


def layer_options(layer: Mapping[Any, Any], number: int, count: int, of: str = "stage") -> dict[Any, Any]:
    """Options of the lambda layers in one stage, counted from 1: those for all stages, then those under its number.

    What a stage has under the numbers of its blocks is kept, and is read by another call, of="block". Numbers may be
    text, as JSON has them. Raises TypeError for an option that no lambda layer has, ValueError for a stage or a block
    that does not exist.
    """
    numbered = {int(name): value for name, value in layer.items() if str(name).isdigit()}
    if wrong := sorted(set(numbered) - set(range(1, count + 1))):
        raise ValueError(f"layer has options for {of} {wrong[0]}, but the {of}s are numbered 1 to {count}")
    options = {name: value for name, value in layer.items() if not str(name).isdigit()}
    options |= dict(numbered.get(number, {}))
    known = set(signature(LambdaLayer).parameters) - {"dim", "dim_out", "stride"}
    if unknown := sorted(name for name in map(str, options) if name not in known and not name.isdigit()):
        raise TypeError(f"no lambda layer has the option {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return options


class ResNet(nn.Module):
    """stem -> stages -> average pool -> linear.  (b, 3, H, W) -> (b, num_classes), raw scores.

    Raises ValueError for a stage string or an activation that does not fit, TypeError for an option that no lambda
    layer has.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.act not in ACTS:
            raise ValueError(f"act must be one of {', '.join(ACTS)}, not {config.act!r}")
        self.config = config
        self.stem, dim = _stem(config), config.stem[-1][1]
        self.stages = nn.Sequential()
        for index, letters in enumerate(parse_stages(config.stages, config.depths)):
            of_stage = layer_options(config.layer, index + 1, len(config.depths))
            width, dim_out = config.widths[index], config.widths[index] * config.expansion
            blocks = []
            for number, letter in enumerate(letters):
                options = layer_options(of_stage, number + 1, len(letters), of="block")
                mix = partial(LAYERS[letter], **(options if LAYERS[letter] is LambdaLayer else {}))
                stride = config.strides[index] if number == 0 else 1
                blocks.append(Bottleneck(dim, width, dim_out, stride, mix, ACTS[config.act]))
                dim = dim_out
            self.stages.append(nn.Sequential(*blocks))
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(dim, config.num_classes) if config.num_classes else nn.Identity()
        self.num_features = dim
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        """The map before the average pool: (b, num_features, H / 32, W / 32) in a ResNet-50."""
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
            ACTS[config.act](inplace=True),
        ]
        dim = channels
    if config.pool:
        parts.append(nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*parts)
