"""Recipes. Each states its command, how long it takes where, and the result to expect."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lambda_core.checkpoints.skeleton import as_tuples
from lambda_core.data import DATASETS
from lambda_core.training.optimizing import OPTIMIZERS

INIT = "init"  # for a model: the network of the checkpoint that a run begins from
PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}  # and what accelerate calls them


@dataclass(frozen=True)
class Recipe:
    """How to train one network.

    model, overrides: a name in `lambda_core.models.FAMILY`, or "init" for the network of the checkpoint that a run
        begins from, and options of `build` that are laid over its own.
    data: a name in `lambda_core.data.DATASETS`.
    pictures, held_out: train and measure on so many of it, drawn at random, always the same ones; 0 for all.
    size: image side in pixels, at which the network is always evaluated; 0 for that of the checkpoint.
    sizes: ((first epoch, side), ...): training may start on small images and end on full ones.
    epochs: each sees every picture once, but for those that make no whole step.
    batch, accumulate: images a step, over all processes, and in how many parts one after another.
    optimizer, lr, weight_decay, warmup: adamw or sgd (momentum 0.9, Nesterov); the peak of one cycle, linear warm-up
        over `warmup` of the steps, then cosine to zero; decay of matrices and kernels alone, not of position
        embeddings.
    label_smoothing: share of the target that is spread over all classes.
    scale, pad: a random-resized crop of `scale` of the area, or where pad > 0 a crop of the whole picture at its size
        with `pad` pixels of zeros around it.
    flip: a mirror image half of the time.
    randaugment: (operations, magnitude of 30), or None.
    erase: the share of pictures of which a random rectangle is erased.
    mixup, cutmix: the alpha of their Beta distribution, 0 for none; with both, one of them at random a batch.
    ending: so many epochs at the end do without RandAugment, erasing, mixup and cutmix.
    ema: decay of the averaged weights a step.
    clip: largest norm of the gradient, 0 for any.
    precision: float32 | bfloat16 | float16, of autocast; weights are float32.
    channels_last: maps lie in memory pixel by pixel, which convolutions on most machines prefer.
    compile: torch.compile the network.
    checkpoint_blocks: recompute blocks in the backward pass in place of storing them.
    validate: the pictures held out are looked at after the first epoch, the last three, and every so many.
    keep: the averaged weights of every so many epochs stay, as epoch_NNN.safetensors; 0 keeps the last alone.
    seed: of the weights, the order, the augmentation, and of dropout, drop-path, mixup and cutmix.
    expects: duration and result, as measured or as published.
    """

    model: str
    overrides: dict[str, Any] = field(default_factory=dict)
    data: str = "imagenette"
    pictures: int = 0
    held_out: int = 0
    size: int = 128
    sizes: tuple[tuple[int, int], ...] = ()
    epochs: int = 40
    batch: int = 64
    accumulate: int = 1
    optimizer: str = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.1
    scale: tuple[float, float] = (0.35, 1.0)
    pad: int = 0
    flip: bool = True
    randaugment: tuple[int, int] | None = None
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ending: int = 0
    ema: float = 0.998
    clip: float = 1.0
    precision: str = "bfloat16"
    channels_last: bool = True
    compile: bool = False
    checkpoint_blocks: bool = False
    validate: int = 4
    keep: int = 0
    seed: int = 0
    expects: str = ""

    def side(self, epoch: int) -> int:
        """The image side in force at an epoch, counted from 0."""
        return [side for first, side in ((0, self.size), *self.sizes) if first <= epoch][-1]

    def settled(self, architecture: Mapping[str, Any], size: int) -> "Recipe":
        """The recipe with what it leaves to a checkpoint: its architecture, the arguments of `build`, and its size.

        Options of the recipe are laid over the network's; the number of classes is left to the data.
        """
        model, overrides = self.model, self.overrides
        if model == INIT:
            model = architecture["name"]
            theirs = {name: as_tuples(value) for name, value in architecture.get("overrides", {}).items()}
            theirs.pop("num_classes", None)
            overrides = theirs | overrides
        return replace(self, model=model, overrides=overrides, size=self.size or size)

    def at(self, epoch: int) -> "Recipe":
        """The recipe in force at an epoch, counted from 0: plainer pictures at the end."""
        if epoch < self.epochs - self.ending:
            return self
        return replace(self, randaugment=None, erase=0.0, mixup=0.0, cutmix=0.0)


def changed(recipe: Recipe, settings: list[str]) -> Recipe:
    """The recipe with "field=value" settings, values as Python literals: ["lr=0.001", "overrides={'stages': 'LLLL'}"].

    Raises ValueError, in one sentence, for a field that a recipe does not have and for a value of another kind.
    """
    known = {f.name: f.default for f in fields(Recipe)}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in known or not text:
            raise ValueError(f"--set takes FIELD=VALUE with a field of a recipe ({', '.join(known)}), not {setting!r}")
        now = getattr(recipe, name)
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        if isinstance(now, float) and isinstance(value, int):
            value = float(value)
        switched_off = value is None and known[name] is None
        if now is not None and not switched_off and not isinstance(value, type(now)):
            raise ValueError(f"--set {name} takes something like {now!r}, not {text!r}")
        recipe = replace(recipe, **{name: value})
    return recipe


CHOICES = {"data": tuple(DATASETS), "optimizer": tuple(OPTIMIZERS), "precision": tuple(PRECISIONS)}
LEAST = {
    "size": 2, "epochs": 1, "batch": 1, "accumulate": 1, "validate": 1, "pictures": 0, "held_out": 0, "pad": 0,
    "ending": 0, "keep": 0, "seed": 0, "lr": 0, "weight_decay": 0, "clip": 0,
}  # fmt: skip
SHARES = ("warmup", "label_smoothing", "erase", "ema")
ALPHAS, LEAST_ALPHA, MOST_ALPHA = ("mixup", "cutmix"), 1e-3, 1e3  # beyond, no Beta distribution can be drawn from
SEEDS = 2**32


def check(recipe: Recipe) -> None:
    """Raises ValueError, in one sentence, for a value that no run could have."""
    for name, choices in CHOICES.items():
        if (value := getattr(recipe, name)) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    if recipe.size == 0 and recipe.sizes:
        raise ValueError(f"sizes={recipe.sizes!r} need a size to end at, and it is 0")
    for name, least in LEAST.items():
        if name == "size" and not recipe.size:  # which that of a checkpoint will be
            continue
        if (value := getattr(recipe, name)) < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    for name in SHARES:
        if not 0 <= (value := getattr(recipe, name)) < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, not {value}")
    for name in ALPHAS:
        if (value := getattr(recipe, name)) and not LEAST_ALPHA <= value <= MOST_ALPHA:
            raise ValueError(f"{name} must be 0 for none, or from {LEAST_ALPHA:g} to {MOST_ALPHA:g}, not {value}")
    if recipe.seed >= SEEDS:
        raise ValueError(f"seed must be below 2 ** 32, not {recipe.seed}")
    _check_overrides(recipe.overrides)
    if not _numbers(recipe.scale, 2, 0, 1) or not 0 < recipe.scale[0] <= recipe.scale[1]:
        raise ValueError(f"scale must be (smallest, largest) share of a picture, as (0.35, 1.0), not {recipe.scale!r}")
    if recipe.randaugment is not None and not _numbers(recipe.randaugment, 2, 1, 30, int):
        raise ValueError(f"randaugment must be (operations, magnitude up to 30), as (2, 9), not {recipe.randaugment!r}")
    sizes = recipe.sizes
    if not isinstance(sizes, tuple) or not all(
        _numbers(each, 2, 0, 2**16, int) and each[1] >= LEAST["size"] for each in sizes
    ):
        raise ValueError(f"sizes must be ((first epoch, side), ...), as ((0, 96), (40, 128)), not {sizes!r}")
    if (firsts := [first for first, _ in sizes]) != sorted(set(firsts)):
        raise ValueError(f"the first epochs of sizes must grow, as in ((0, 96), (40, 128)), not {sizes!r}")


def _check_overrides(overrides: dict[str, Any]) -> None:
    """Names of options alone, and none that the pictures do not fit."""
    if odd := [name for name in overrides if not isinstance(name, str)]:
        raise ValueError(f"overrides must have options by name, as {{'stages': 'LLLL'}}, not {odd[0]!r}")
    if (channels := overrides.get("in_chans", 3)) != 3:
        raise ValueError(f"in_chans must be 3 in training, whose pictures have three channels, not {channels!r}")


def _numbers(values: Any, count: int, least: float, most: float, kind: Any = (int, float)) -> bool:
    """Whether it is a row of so many numbers of that kind, from `least` to `most`."""
    return (
        isinstance(values, tuple)
        and len(values) == count
        and all(isinstance(v, kind) and not isinstance(v, bool) and least <= v <= most for v in values)
    )


RECIPES: dict[str, Recipe] = {
    # python -m lambda_core.training.classify imagenette-128 --data DIR [--precision float32 --compile]
    "imagenette-128": Recipe(
        model="lambda_resnet_mini",
        overrides={"num_classes": 10},
        sizes=((0, 96),),
        epochs=80,
        lr=1.5e-3,
        scale=(0.25, 1.0),
        randaugment=(2, 9),
        mixup=0.2,
        cutmix=1.0,
        expects="1.7 h on one CPU core with bfloat16 (AVX-512), 2.5 h in float32, by the time of an epoch. About the "
        "88.7 % top-1 of the network that ships, which took six shorter runs, two of them with these settings (its "
        "card): not run as a whole.",
    ),
    # python -m lambda_core.training.classify imagenette-small --data DIR
    # A larger network in an evening of one CPU core; its twin of convolutions: --set model=resnet_small
    "imagenette-small": Recipe(
        model="lambda_resnet_small",
        overrides={"num_classes": 10},
        sizes=((0, 64), (7, 96)),
        epochs=20,
        lr=1.5e-3,
        expects="1.7 h on one CPU core with bfloat16 (AVX-512), 1.8 h for the twin: 82.3 % top-1, the twin 80.5 %.",
    ),
    # python -m lambda_core.training.classify imagenette-gpu --data DIR --compile --workers 6
    # The same network on a GPU, from random weights; its twin of convolutions: --set model=resnet_small
    "imagenette-gpu": Recipe(
        model="lambda_resnet_small",
        overrides={"num_classes": 10, "drop_path": 0.05},
        sizes=((0, 96), (100, 128)),
        epochs=240,
        batch=128,
        lr=2e-3,
        warmup=0.05,
        scale=(0.25, 1.0),
        mixup=0.2,
        cutmix=1.0,
        ending=24,
        ema=0.999,
        validate=20,
        expects="10 minutes on one H100, the twin beside it on the same GPU: 92.0 % top-1, the twin 91.0 %.",
    ),
    # python -m lambda_core.training.ablations --data DIR
    # One short run for each of many small networks.
    "imagenette-ablation": Recipe(
        model="lambda_resnet_micro",
        overrides={"num_classes": 10},
        size=96,
        epochs=10,
        lr=3e-3,
        ema=0.99,
        expects="5 to 30 minutes a network on an idle CPU core with bfloat16 (AVX-512), up to 90 on a busy one: 70 to "
        "76 % top-1.",
    ),
    # accelerate launch -m lambda_core.training.classify imagenet-lambda --data DIR
    # The paper's schedule (appendix E): 350 epochs, SGD with momentum, 0.1 for every 256 images, 5 epochs of warm-up.
    # Ours: Nesterov momentum, clipping, no decay on norms, biases and embeddings, batch norm over all images of a step,
    # and the whole picture in validation, where published figures crop 224 of 256 px. Magnitudes of RandAugment count
    # to 30 in torchvision and to 10 in the paper's code, whose 15 is beyond all of these: 30 comes nearest.
    "imagenet-lambda": Recipe(
        model="lambda_resnet50",
        overrides={"dropout": 0.3},
        data="imagefolder",
        size=224,
        epochs=350,
        batch=4096,
        optimizer="sgd",
        lr=1.6,
        weight_decay=4e-5,
        warmup=5 / 350,
        scale=(0.08, 1.0),
        randaugment=(2, 30),
        ema=0.9999,
        clip=10.0,
        expects="Not run by us: 4.5 days at the 1,160 pictures a second published for LLLL of ResNet-50. The 78.4 % "
        "top-1 published beside them are of a shorter and plainer schedule. For lambda_resnet200_d and deeper add "
        "drop_path to the overrides, 0.1 or more.",
    ),
    # python -m lambda_core.training.classify cifar10 --data DIR [--download]
    # For two CPU cores: convolutions on the large maps, lambda layers at a quarter of the side, small pictures first.
    "cifar10": Recipe(
        model="lambda_resnet_mini",
        overrides={
            "depths": (1, 3, 2), "stages": "C-CCL-CL", "widths": (128, 256, 384), "expansion": 1, "strides": (1, 2, 2),
            "stem": ((3, 32, 1), (3, 64, 1)), "pool": True, "num_classes": 10, "layer": {"scope": 7},
        },
        data="cifar10",
        size=32,
        sizes=((0, 24), (18, 32)),
        epochs=48,
        batch=128,
        lr=3e-3,
        weight_decay=0.1,
        pad=4,
        erase=0.6,
        ending=5,
        ema=0.999,
        validate=7,
        expects="3 h on two CPU cores with bfloat16 (AVX-512): 93.6 % top-1 (3.9 M parameters). 2.4 h more from "
        "there with CutMix, as the README has it: 94.4 %.",
    ),
    # python -m lambda_core.training.classify digits
    # 1,797 handwritten digits that scikit-learn ships: for a first run, and for watching a layer learn.
    "digits": Recipe(
        model="lambda_resnet_mini",
        overrides={
            "depths": (1, 1, 1), "stages": "CLL", "widths": (16, 24, 32), "strides": (1, 2, 1),
            "stem": ((3, 16, 1),), "num_classes": 10, "layer": {"scope": 7, "dim_k": 8},
        },
        data="digits",
        size=16,
        epochs=20,
        batch=32,
        scale=(0.7, 1.0),
        flip=False,
        precision="float32",
        keep=1,
        expects="2 to 3 minutes on one CPU core: 97 to 98 % top-1.",
    ),
    # python -m lambda_core.training.classify finetune --data FOLDER --init lambda_resnet_mini
    # Pictures and classes of your own, FOLDER/train/CLASS/... and FOLDER/val/CLASS/..., from the weights of --init.
    "finetune": Recipe(
        model=INIT,
        data="imagefolder",
        size=0,
        epochs=10,
        batch=32,
        lr=1e-3,
        ema=0.98,
        expects="9 minutes on one CPU core for 2,000 pictures of CIFAR-10: 62.3 % top-1 of 1,000 others, from random "
        "weights 42.7 %.",
    ),
    # python -m lambda_core.training.classify photographs --data DIR [--set data=imagefolder]
    # A small network, few photographs, 64 px: minutes on one CPU core, for watching a layer learn.
    "photographs": Recipe(
        model="lambda_resnet_micro",
        overrides={"layer": {"scope": 7, "dim_k": 16}},
        pictures=2000,
        held_out=500,
        size=64,
        epochs=10,
        batch=32,
        ema=0.99,
        precision="float32",
        keep=1,
        expects="3 minutes on one CPU core for Imagenette: 48 % top-1 of 500 pictures, after so few.",
    ),
}  # fmt: skip
