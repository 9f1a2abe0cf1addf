"""What a network of the family is: depths, widths, and the layer of every block with its options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature
from math import inf
from typing import Any

from torch import nn

from lambda_core.layers import LAYERS, ConvolutionThen, LambdaLayer
from lambda_core.layers.face import check_flags
from lambda_core.models.head import check_channels, check_classes
from lambda_core.positions import is_count

GIVEN = ("dim", "dim_out", "dim_context", "stride")  # arguments of a layer that its block decides


@dataclass(frozen=True)
class Config:
    """A ResNet: `depths` blocks a stage, `widths` of their bottlenecks (outputs are `expansion` times wider).

    stages: see `parse_stages`. stem: (kernel, channels, stride) of each convolution, then a 3x3 max-pool of stride 2
    if `pool`. strides: of the first block of each stage. act: the activation, a name in ACTS. in_chans: channels of an
    image. num_classes=0 leaves out the classifier.

    layers: options under the letter of a layer, {"G": {"heads": 4}}; there, under a stage's number (from 1), those
    that differ in that stage, and in these, under a block's number, those that differ in that block. layer: the same
    for the lambda layers, without a letter, on top of layers["L"]. image_size: the side, or (height, width), of the
    largest image to come: layers whose embeddings cover a whole map take their `size` from it where they are given
    none. share_embeddings: the lambda layers of all stages of one resolution have one table of embeddings together (one
    for each shape).

    dropout: before the classifier. drop_path: the share of images for which the last block is its shortcut, in
    training; it grows linearly from 0 at the first block (Huang et al. 2016, "Deep Networks with Stochastic Depth").
    """

    depths: tuple[int, ...]
    stages: str = "CCCC"
    widths: tuple[int, ...] = (64, 128, 256, 512)
    expansion: float = 4
    strides: tuple[int, ...] = (1, 2, 2, 2)
    stem: tuple[tuple[int, int, int], ...] = ((7, 64, 2),)
    pool: bool = True
    act: str = "relu"
    in_chans: int = 3
    num_classes: int = 1000
    dropout: float = 0.0
    drop_path: float = 0.0
    layer: Mapping[Any, Any] = field(default_factory=dict)
    layers: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)
    image_size: int | tuple[int, int] | None = None
    share_embeddings: bool = False


def parse_stages(stages: str, depths: tuple[int, ...]) -> list[str]:
    """The letter of each block, one string a stage.

    "CCLL" has a letter a stage. "C-C-CL-L" has a dash between stages and, in each, one letter for all its blocks or
    a pattern whose length divides their number: CL in a stage of six blocks is CLCLCL. Raises ValueError for a string
    that does not fit.
    """
    if not isinstance(stages, str):
        raise ValueError(f"stages must be a string as 'CCLL' or 'C-C-CL-L', not {stages!r}")
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


def check_numbers(config: Config) -> None:
    """ValueError unless every stage has a depth, a width and a stride, and stem and classifier can be built."""
    stem = config.stem
    if not isinstance(stem, (tuple, list)) or not stem or not all(_counts(each, 3) for each in stem):
        raise ValueError(
            f"stem must have at least one convolution, each (kernel, channels, stride), as ((7, 64, 2),), not {stem!r}"
        )
    if any(kernel % 2 == 0 for kernel, _, _ in stem):
        raise ValueError(f"a kernel of the stem must be odd, so that it has a middle, not stem={stem!r}")
    check_rows(config, "depths", "widths", "strides")
    expansion = config.expansion
    if not _number(expansion) or not 0 < expansion < inf or any(round(w * expansion) < 1 for w in config.widths):
        raise ValueError(f"expansion must be a number that leaves every stage a channel, not {config.expansion!r}")
    for name in ("dropout", "drop_path"):
        if not _number(share := getattr(config, name)) or not 0 <= share < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, not {share!r}")
    check_channels(config.in_chans)
    check_classes(config.num_classes)
    check_flags(pool=config.pool, share_embeddings=config.share_embeddings)
    if config.image_size is not None and not _counts(config.image_size, 2) and not _counts((config.image_size,), 1):
        raise ValueError(f"image_size must be a side or (height, width), not {config.image_size!r}")


def check_rows(config: Any, *names: str) -> None:
    """ValueError unless these fields, `depths` among them, hold a whole number of at least 1 for each stage."""
    for name in names:
        values = getattr(config, name)
        if not _counts(values):
            raise ValueError(f"{name} must hold a whole number of at least 1 for each stage, not {values!r}")
        if len(values) != len(config.depths):
            raise ValueError(f"{name}={values} must have an entry for each stage of depths={config.depths}")


def _counts(values: Any, count: int | None = None) -> bool:
    """Whether this is a row of whole numbers of at least 1, so many of them."""
    if not isinstance(values, (tuple, list)) or (count is not None and len(values) != count):
        return False
    return all(map(is_count, values))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def takes(kind: type[nn.Module]) -> Mapping[str, Any]:
    """The options of a kind of layer, with their defaults."""
    parameters = signature(kind.Unit if issubclass(kind, ConvolutionThen) else kind).parameters
    return {name: p.default for name, p in parameters.items() if name not in GIVEN}


def layer_options(
    layer: Mapping[Any, Any], number: int, count: int, of: str = "stage", kind: type[nn.Module] = LambdaLayer
) -> dict[Any, Any]:
    """Options of one kind of layer in one stage, counted from 1: those for all stages, then those under its number.

    What a stage has under the numbers of its blocks is kept, and is read by another call, of="block". Numbers may be
    text, as JSON has them. Raises TypeError for an option that no such layer has, ValueError for a stage or a block
    that does not exist.
    """
    numbered = {int(name): value for name, value in layer.items() if str(name).isdigit()}
    if wrong := sorted(set(numbered) - set(range(1, count + 1))):
        raise ValueError(f"layer has options for {of} {wrong[0]}, but the {of}s are numbered 1 to {count}")
    if not isinstance(own := numbered.get(number, {}), Mapping):
        raise ValueError(f"{of} {number} takes options by name, as {{'scope': 7}}, not {own!r}")
    options = {name: value for name, value in layer.items() if not str(name).isdigit()} | dict(own)
    known = takes(kind)
    if unknown := sorted(name for name in map(str, options) if name not in known and not name.isdigit()):
        layers = "lambda layer" if kind is LambdaLayer else kind.__name__
        choices = f"there are {', '.join(sorted(known))}" if known else "it has none"
        raise TypeError(f"no {layers} has the option {unknown[0]!r}; {choices}")
    return options


def options_by_letter(config: Config) -> dict[str, Mapping[Any, Any]]:
    """Options of every letter, `layer` laid over layers["L"]. Raises ValueError for an unknown letter."""
    if unknown := sorted(set(config.layers) - set(LAYERS)):
        raise ValueError(f"layers has options for the unknown letter {unknown[0]!r}; there are {', '.join(LAYERS)}")
    return {letter: config.layers.get(letter, {}) for letter in LAYERS} | {
        "L": {**config.layers.get("L", {}), **config.layer}
    }
