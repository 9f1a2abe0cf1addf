"""What an architecture costs, block by block: equal blocks are counted once, so that one swap costs one block."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from explorer.architecture import Architecture, block_options
from lambda_core.cost import Cost, Row, profile_in_place
from lambda_core.meta import shapes_only
from lambda_core.models import Config, ResNet, SanConfig, build
from lambda_core.models.config import parse_stages

BYTES = 4  # a number in float32
METRICS = {"flops": "FLOPs", "params": "Parameters", "memory": "Activations"}


def measure(cost: Cost) -> dict[str, int]:
    """flops of one image, params, and memory: bytes of the batch's activations and of what layers keep within."""
    return {"flops": cost.flops, "params": cost.params, "memory": BYTES * (cost.activations + cost.stored)}


@dataclass(frozen=True)
class Stage:
    """side and width of its maps, channels that it puts out, its letters, the cost of each block, and of the rest."""

    name: str
    side: int
    width: int
    out: int
    letters: str
    blocks: tuple[Cost, ...]
    rest: Cost


@dataclass(frozen=True)
class Costs:
    """Of a network: the parts in the order of the data, and the whole. Paths in the whole are those of the network."""

    stem: Cost
    stages: tuple[Stage, ...]
    head: Cost
    whole: Cost


@lru_cache(maxsize=4096)
def _part(config: Config, path: str, side: int, batch: int, options: str) -> Cost:
    """Rows of one part of a small network, paths below it."""
    if options:
        config = replace(config, layers={config.stages: json.loads(options)})
    with shapes_only():
        network = ResNet(config)
    return _below(profile_in_place(network, side, batch=batch), path)


def _below(cost: Cost, path: str) -> Cost:
    """The rows of one part, named from there."""
    return Cost(tuple(replace(row, path=row.path[len(path) + 1 :]) for row in cost.under(path).rows), cost.batch)


class _Config(Config):
    """A configuration that can be the key of a cache: its layers are added later."""

    def __hash__(self) -> int:
        return hash((self.depths, self.stages, self.widths, self.strides, self.stem, self.pool, self.num_classes))


def _alone(**fields: Any) -> Config:
    return _Config(**{"depths": (), "stages": "", "widths": (), "strides": (), "num_classes": 0, **fields})


def _down(side: int, *strides: int) -> int:
    for stride in strides:
        side = -(-side // stride)
    return side


def _placed(cost: Cost, path: str) -> tuple[Row, ...]:
    return tuple(replace(row, path=f"{path}.{row.path}" if row.path else path) for row in cost.rows)


@lru_cache(maxsize=256)
def costs(architecture: Architecture, batch: int = 1) -> Costs:
    """Every part of an architecture. Raises ValueError or TypeError, in a sentence, where it does not fit."""
    config = architecture.config()
    return _san(architecture, config, batch) if isinstance(config, SanConfig) else _resnet(architecture, config, batch)


def _resnet(architecture: Architecture, config: Config, batch: int) -> Costs:
    size, dim = architecture.size, config.stem[-1][1]
    stem = _part(_alone(stem=config.stem, pool=config.pool, act=config.act), "stem", size, batch, "")
    side = _down(size, *(stride for _, _, stride in config.stem), 2 if config.pool else 1)
    rows = list(_placed(stem, "stem"))
    stages = []
    letters, options = parse_stages(config.stages, config.depths), block_options(config)
    for index, (width, stride) in enumerate(zip(config.widths, config.strides, strict=True)):
        blocks = []
        for number, letter in enumerate(letters[index]):
            step = 1 if number else stride
            alone = _alone(
                depths=(1,), stages=letter, widths=(width,), strides=(step,), expansion=config.expansion,
                stem=((1, dim, 1),), pool=False, act=config.act, image_size=side,
            )  # fmt: skip
            block = _part(alone, "stages.0.0", side, batch, json.dumps(options[index][number], sort_keys=True))
            rows += _placed(block, f"stages.{index}.{number}")
            blocks.append(block)
            dim, side = round(width * config.expansion), _down(side, step)
        stages.append(Stage(f"c{index + 2}", side, width, dim, letters[index], tuple(blocks), Cost((), batch)))
    head = _part(
        _alone(stem=((1, dim, 1),), pool=False, num_classes=config.num_classes), "classify", 1, batch, ""
    )  # fmt: skip
    return Costs(stem, tuple(stages), head, Cost((*rows, *_placed(head, "classify")), batch))


def _san(architecture: Architecture, config: SanConfig, batch: int) -> Costs:
    """As a whole: its blocks cannot be exchanged. A stage is a max-pool, a 1x1 convolution, its blocks and a norm."""
    with shapes_only():
        network = build(architecture.base)
    whole = profile_in_place(network, architecture.size, batch=batch)
    stages, side = [], architecture.size
    for index, (depth, width) in enumerate(zip(config.depths, config.widths, strict=True)):
        paths = [f"stages.{index}.{2 + number}" for number in range(depth)]
        inside = [whole.under(path) for path in paths]
        taken = {row.path for block in inside for row in block.rows}
        around = Cost(tuple(row for row in whole.under(f"stages.{index}").rows if row.path not in taken), batch)
        blocks = tuple(_below(block, path) for block, path in zip(inside, paths, strict=True))
        rest = _below(around, f"stages.{index}")
        side //= 2
        stages.append(Stage(f"stage {index + 1}", side, width // 4, width, "Z" * depth, blocks, rest))
    return Costs(_below(whole, "stem"), tuple(stages), _below(whole, "classify"), whole)
