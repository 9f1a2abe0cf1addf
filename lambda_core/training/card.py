"""The file of weights that a run leaves, and the card in it."""

import json
import platform
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from lambda_core import data
from lambda_core.checkpoints import save_checkpoint
from lambda_core.training.loop import Run


def export(run: Run, file: Path, command: str, pictures: int, held_out: int) -> None:
    """The averaged weights with a model card that says what they are and how to measure them again."""
    recipe, row = run.recipe, run.history[-1]
    card = {
        "task": "image classification",
        "data": f"{data.DATASETS[recipe.data].title}: trained on {pictures:,} pictures, measured on {held_out:,}",
        "command": command,
        "recipe": {name: value for name, value in asdict(recipe).items() if name != "expects"},
        "init": run.init,
        **({"changes": run.changes} if run.changes else {}),
        "seed": recipe.seed,
        "epochs": run.epoch,
        "hours": round(sum(row["seconds"] for row in run.history) / 3600, 2),
        "machine": _machine(run),
        "metrics": {
            name: {
                "value": round(row[name], 2),
                "unit": "per cent",
                "size": recipe.size,
                "command": "python -m lambda_core.training.evaluate FILE --data DIR",
            }
            for name in ("val_top1", "val_top5")
        },
    }
    save_checkpoint(
        file,
        run.average.module,
        architecture={"name": recipe.model, "overrides": recipe.overrides},
        classes=run.classes,
        preprocess=run.preprocess,
        card=card,
    )


def _machine(run: Run) -> str:
    threads, device = f"{run.accelerator.num_processes} x {torch.get_num_threads()} threads", run.device.type
    device = torch.cuda.get_device_name(run.device) if device == "cuda" else device
    return f"{platform.machine()}, {threads}, {device}, torch {torch.__version__}"


def exported(file: Path, run: Run) -> bool:
    """Whether the file of weights is there, and is that of the run's last epoch."""
    try:
        with safe_open(file, "pt") as opened:
            return json.loads(opened.metadata()["lambda_core"])["card"]["epochs"] == run.epoch
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):  # not there, not whole, or not one of ours
        return False
