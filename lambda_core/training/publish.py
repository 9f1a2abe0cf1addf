"""Put a trained network into the zoo that ships:

python -m lambda_core.training.publish FILE NAME --data DIR [--note TEXT] [--replace] [--results FILE [--results-only]]

The weights go to half precision, and the figures on the card are measured on the file as it ships. The results file
gets these and the history of the run, next to those of other networks; with --results-only it alone.
"""

import argparse
import csv
import json
import re
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError

from lambda_core.allocator import keep_memory
from lambda_core.arguments import WORKERS, held, refuse, whole, writable
from lambda_core.checkpoints import CheckpointRefused, load_checkpoint, save_checkpoint
from lambda_core.checkpoints.files import ZOO
from lambda_core.training.evaluate import measure
from lambda_core.training.faults import TrainingStopped, write_atomically

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RECORDED = ("architecture", "command", "data", "epochs", "seed")  # what `record` reads from a card
TRAINING_ALONE = ("drop_path", "dropout")  # no weights, and nothing to do once a network has been trained


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
        built = found.card["architecture"]
        kept = {name: value for name, value in built.get("overrides", {}).items() if name not in TRAINING_ALONE}
        architecture = built | {"overrides": kept}
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


def history(place: Path) -> list[dict[str, float]]:
    """The lines of the log in a run's folder, without what was not measured."""
    with (place / "log.csv").open(encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def record(results: Path, name: str, file: Path, figures: dict[str, float]) -> None:
    """Add the network of a run to a results file, in place of what it said of the same name."""
    loaded = load_checkpoint(file)
    content = held(results)
    others = [network for network in content.get("networks", ()) if network["name"] != name]
    run = {"seed": loaded.card["seed"], "top1": figures["top1"], "loss": figures["loss"]}
    network = {
        "name": name,
        "command": loaded.card["command"],
        "overrides": loaded.card["architecture"].get("overrides", {}),
        "parameters": sum(p.numel() for p in loaded.model.parameters()),
        "top1": figures["top1"],
        "spread": 0.0,
        "runs": [run | {"history": history(file.parent)}],
    }
    title = loaded.card["data"].partition(":")[0].partition(" at ")[0]  # at the size of the files, not of the network
    data_of = f"{title} at {loaded.preprocess['size']} px, {loaded.card['epochs']} epochs, 1 seed"
    content |= {"date": date.today().isoformat(), "data": data_of, "networks": [*others, network]}
    write_atomically(
        results, lambda path: path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8"), "Make room"
    )


def check(options: argparse.Namespace) -> None:
    """CheckpointRefused, before anything is measured or written, for what could not be written in the end."""
    name, results = options.name, options.results
    if not NAME.fullmatch(name):
        raise CheckpointRefused(f"{name!r} is no name: take letters, digits and underscores, a letter first")
    if not options.results_only and not options.replace and (ZOO / f"{name}.safetensors").exists():
        raise CheckpointRefused(f"the zoo has {name} already: choose another name, or add --replace to write over it")
    if not results:
        return
    log = options.file.parent / "log.csv"
    if not log.is_file():
        raise CheckpointRefused(f"--results needs the history of the run, and there is no {log}")
    try:
        held(results)
    except ValueError:
        raise CheckpointRefused(f"{results} holds no results: give --results another file") from None
    card = load_checkpoint(options.file).card
    if lacking := [key for key in RECORDED if key not in card]:
        raise CheckpointRefused(
            f"the card of {options.file} lacks {', '.join(lacking)}: give the last.safetensors of a training run"
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.training.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the last.safetensors of a training run")
    parser.add_argument("name", help="in the zoo: letters, digits and underscores, a letter first")
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--note", metavar="TEXT", default="", help="what the command on the card does not tell")
    parser.add_argument("--replace", action="store_true", help="write over a network of that name")
    parser.add_argument("--results", type=writable, metavar="FILE", help="a JSON file of results to add it to")
    parser.add_argument("--results-only", action="store_true", help="leave the zoo as it is")
    parser.add_argument("--workers", type=whole, default=1, help=WORKERS)
    options = parser.parse_args(arguments)
    if options.results_only and not options.results:
        parser.error("--results-only needs --results FILE")
    try:
        check(options)
        if options.results_only:
            figures = measure(str(options.file), options.data, options.workers)
        else:
            figures = publish(options.file, options.name, options.data, options.note, options.workers)
        if options.results:
            record(options.results, options.name, options.file, figures)
        print(json.dumps(figures))
    except (ValueError, OSError) as error:
        refuse(error)
    except (TrainingStopped, SafetensorError) as error:
        sys.exit(str(error).strip().splitlines()[-1])


if __name__ == "__main__":
    keep_memory()
    main()
