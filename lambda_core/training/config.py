"""Recipes. Each states its command, how long it takes where, and the result to expect."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How to train one network. Sizes are image sides in pixels, `lr` is the peak of the schedule.

    sizes: ((first epoch, side), ...): training may start on small images and end on full ones. The network is always
    evaluated at `size`. Schedule: one cycle, linear warm-up over `warmup` of the steps, then cosine to zero.
    precision: float32 | bfloat16 | float16.
    """

    model: str
    overrides: dict[str, Any] = field(default_factory=dict)
    data: str = "imagenette"
    size: int = 128
    sizes: tuple[tuple[int, int], ...] = ((0, 128),)
    epochs: int = 40
    batch: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.1
    scale: tuple[float, float] = (0.35, 1.0)
    ema: float = 0.998
    clip: float = 1.0
    precision: str = "bfloat16"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0


RECIPES: dict[str, Recipe] = {
    # python -m lambda_core.training.classify imagenette-128 --data DIR [--precision float32 --compile]
    # Two CPU cores without bf16: 160 s an epoch at 96 px when nothing else runs, 84.0 % after 29 epochs at 96 px alone.
    "imagenette-128": Recipe(
        model="lambda_resnet_mini",
        overrides={"num_classes": 10},
        sizes=((0, 96), (29, 128)),
        epochs=30,
    ),
}
