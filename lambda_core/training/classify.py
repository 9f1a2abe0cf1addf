"""Train a classifier: python -m lambda_core.training.classify RECIPE --data DIR [--out FOLDER]

The same command goes on where a stopped run left off. The averaged weights end in FOLDER/last.safetensors.
"""

import argparse
import json
import platform
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from lambda_core import data
from lambda_core.checkpoints import CheckpointRefused, load_checkpoint, save_checkpoint
from lambda_core.models import build
from lambda_core.training.config import RECIPES, Recipe
from lambda_core.training.loop import Run, evaluate, size_at


def train(
    recipe: Recipe,
    out: Path,
    folder: str | Path | None,
    *,
    workers: int,
    device: str,
    download: bool = False,
    init: str | None = None,
) -> dict:
    """Run a recipe to its end in folder `out`, resuming if it was begun there. Returns the last line of the log.

    init: a checkpoint to start a new run from, a name of the zoo or a file, in place of random weights.
    """
    torch.manual_seed(recipe.seed)
    source = data.imagenette("train", folder, download=download)
    held_out = data.imagenette("val", folder)
    val = data.Repeatable(held_out, data.eval_transform(recipe.size))
    val_loader = DataLoader(val, 100, num_workers=workers)
    torch.set_float32_matmul_precision("high")
    run = Run(recipe, build(recipe.model, **recipe.overrides), out, device)
    if run.resume():
        print(f"going on from epoch {run.epoch} of {recipe.epochs}", file=sys.stderr)
    elif init:
        run.start_from(load_checkpoint(init).model)
    train_data = data.Repeatable(source, data.train_transform(recipe.size, recipe.scale), seed=recipe.seed, cache=True)
    total = recipe.epochs * (len(train_data) // recipe.batch)
    while run.epoch < recipe.epochs:
        side = size_at(recipe.sizes, run.epoch)
        train_data.transform = data.train_transform(side, recipe.scale)
        figures = run.train_epoch(train_data, workers, total)
        row = {"epoch": run.epoch, "size": side} | figures
        run.history.append(row)
        run.save()
        if run.epoch % 4 == 0 or run.epoch == 1 or run.epoch > recipe.epochs - 3:
            scores = evaluate(run.average.module, val_loader, device)
            row |= {"val_loss": scores["loss"], "val_top1": scores["top1"]}
            run.save()
            export(run, recipe, out, scores["top1"], init)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return run.history[-1] if run.history else {}


def export(run: Run, recipe: Recipe, out: Path, top1: float, init: str | None) -> None:
    """The averaged weights with a model card that says what they are and how to measure them again."""
    name = next((name for name, known in RECIPES.items() if known.model == recipe.model), "RECIPE")
    card = {
        "task": "image classification",
        "data": "Imagenette at 160 px: trained on its train split (9,469 photographs), measured on val (3,925)",
        "command": f"python -m lambda_core.training.classify {name} --data DIR --precision {recipe.precision}",
        "recipe": asdict(recipe),
        "init": init or "random weights",
        "seed": recipe.seed,
        "epochs": run.epoch,
        "hours": round(sum(row["seconds"] for row in run.history) / 3600, 2),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {run.device}, torch {torch.__version__}",
        "metrics": {
            "val_top1": {
                "value": round(top1, 2),
                "unit": "per cent",
                "size": recipe.size,
                "command": "python -m lambda_core.training.evaluate FILE --data DIR",
            }
        },
    }
    save_checkpoint(
        out / "last.safetensors",
        run.average.module,
        architecture={"name": recipe.model, "overrides": recipe.overrides},
        classes=data.IMAGENETTE_CLASSES,
        preprocess={"size": recipe.size, "mean": data.IMAGENET_MEAN, "std": data.IMAGENET_STD},
        card=card,
    )


def sizes(text: str) -> tuple[tuple[int, int], ...]:
    """ "0:96,18:128" -> ((0, 96), (18, 128))."""
    plan = tuple(tuple(int(number) for number in part.split(":")) for part in text.split(","))
    if any(len(part) != 2 for part in plan) or plan[0][0] != 0:
        raise argparse.ArgumentTypeError(f"'{text}' should read as 0:96,18:128: pairs of epoch and side, from epoch 0")
    return plan  # type: ignore[return-value]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lambda_core.training.classify", description=__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--data", help="folder that holds imagenette2-160 (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--out", type=Path, help="folder of the run (runs/RECIPE)")
    parser.add_argument("--init", metavar="CHECKPOINT", help="start from these weights: a name of the zoo, or a file")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--lr", type=float, help="peak learning rate")
    parser.add_argument("--sizes", type=sizes, metavar="EPOCH:SIDE,...", help="image side by epoch, as 0:96,18:128")
    parser.add_argument("--precision", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--compile", action="store_true", default=None, help="torch.compile the network")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--download", action="store_true", help="fetch the data set if it is missing")
    options = parser.parse_args(arguments)
    names = ("epochs", "lr", "sizes", "precision", "seed", "compile")
    given: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    recipe = replace(RECIPES[options.recipe], **given)
    out = options.out or Path("runs") / options.recipe
    try:
        train(
            recipe, out, options.data, workers=options.workers, device=options.device, download=options.download,
            init=options.init,
        )  # fmt: skip
    except (CheckpointRefused, data.DataMissing, FloatingPointError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
