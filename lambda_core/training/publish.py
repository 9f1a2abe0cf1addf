"""Put a trained network into the zoo that ships:

python -m lambda_core.training.publish FILE NAME --data DIR [--note TEXT]

The weights go to half precision, and the figures on the card are measured on the file as it ships.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lambda_core import data
from lambda_core.checkpoints import CheckpointRefused, load_checkpoint, save_checkpoint
from lambda_core.checkpoints.files import ZOO
from lambda_core.training.evaluate import measure


def publish(file: Path, name: str, folder: str | Path | None, note: str = "", workers: int = 1) -> dict[str, float]:
    """Copy a checkpoint of ours to the zoo under a name, measured again; what `evaluate.measure` found.

    Raises CheckpointRefused for a file without a card of `training.classify`, DataMissing without the pictures.
    """
    found = load_checkpoint(file)
    if "recipe" not in found.card:
        raise CheckpointRefused(f"{file} has no card with a recipe: give the last.safetensors of a training run")
    target = ZOO / f"{name}.safetensors"
    card = {key: value for key, value in found.card.items() if key != "architecture"} | ({"note": note} if note else {})

    def save(path: Path) -> None:
        architecture = found.card["architecture"]
        save_checkpoint(
            path, found.model, architecture=architecture, classes=found.classes, preprocess=found.preprocess, card=card
        )

    with TemporaryDirectory() as place:
        trial = Path(place) / target.name
        save(trial)
        figures = measure(str(trial), folder, workers)
    card["metrics"] = {
        f"val_{metric}": {
            "value": round(figures[metric], 2),
            "unit": "per cent",
            "size": int(figures["size"]),
            "images": int(figures["images"]),
            "command": f"python -m lambda_core.training.evaluate {name} --data DIR",
        }
        for metric in ("top1", "top5")
    }
    save(target)
    return figures


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lambda_core.training.publish", description=__doc__)
    parser.add_argument("file", type=Path, help="the last.safetensors of a training run")
    parser.add_argument("name", help="in the zoo")
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--note", default="", help="what the command on the card does not tell")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        print(json.dumps(publish(options.file, options.name, options.data, options.note, options.workers)))
    except (CheckpointRefused, data.DataMissing, data.DataBroken) as error:
        sys.exit(str(error).strip().splitlines()[-1])


if __name__ == "__main__":
    main()
