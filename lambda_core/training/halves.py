"""What each half of the lambda layers is worth to a trained network:

python -m lambda_core.training.halves NAME_OR_FILE --data DIR [--json FILE]

Top-1 accuracy on the pictures held out, at the size on the checkpoint's card: of the whole network, and with one half
switched off in every lambda layer. The network was trained with both, so this tells what it relies on, not how good
a network trained without that half would be (Bello 2021 trains those too, in its ablation study).
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from lambda_core import data
from lambda_core.allocator import keep_memory
from lambda_core.arguments import writable
from lambda_core.checkpoints import Checkpoint, CheckpointRefused, load_checkpoint, zoo
from lambda_core.switching import HALVES, everywhere, switched

Off = Mapping[str, Collection[str]]


def held_out(checkpoint: Checkpoint, folder: str | Path | None = None) -> Dataset:
    """The validation pictures of the set on the checkpoint's card, else of Imagenette: (uint8 (3, S, S), label).

    Raises DataMissing where they are not there, and ValueError where the network has other classes.
    """
    name = checkpoint.card.get("recipe", {}).get("data", "imagenette")
    kind = data.DATASETS[name] if name in data.DATASETS else data.DATASETS["imagenette"]
    loaded = kind.load("val", folder)
    if tuple(kind.class_names(loaded)) != tuple(checkpoint.classes):
        raise ValueError(f"this network tells other classes apart than those of {kind.title}")
    return data.Repeatable(loaded, data.eval_transform(int(checkpoint.preparation()["size"])))


def subset(count: int, size: int, seed: int = 0) -> list[int]:
    """`size` of `count` indices, drawn at random without repeats; the same for the same seed, smaller in larger."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:size].tolist()


def standard_error(correct: int, seen: int) -> float:
    """Of an accuracy in per cent, for `seen` pictures drawn at random: 100 sqrt(p (1 - p) / seen)."""
    share = correct / seen
    return 100 * (share * (1 - share) / seen) ** 0.5


@torch.no_grad()
def right_answers(checkpoint: Checkpoint, images: Tensor, labels: Tensor, off: Off) -> int:
    """How many of the pictures (b, 3, S, S) uint8 the network gets right with these halves switched off."""
    told = checkpoint.preparation()
    x = data.normalize(images, told["mean"], told["std"])
    with switched(checkpoint.model, off):
        return int((checkpoint.model(x).argmax(1) == labels).sum())


def variants(model: nn.Module) -> dict[str, Off]:
    """The network whole, and without each half that any of its lambda layers has."""
    without = {f"without {half}": everywhere(model, half) for half in HALVES}
    return {"whole": {}, **{name: off for name, off in without.items() if off}}


def measure(checkpoint: Checkpoint, folder: str | Path | None = None, workers: int = 1) -> dict[str, float]:
    """Top-1 in per cent by variant, and "images", "size", over all pictures held out."""
    pictures = held_out(checkpoint, folder)
    offs = variants(checkpoint.model)
    correct = dict.fromkeys(offs, 0)
    for images, labels in tqdm(DataLoader(pictures, 100, num_workers=workers), unit_scale=100, unit=" pictures"):
        for name, off in offs.items():
            correct[name] += right_answers(checkpoint, images, labels, off)
    count = len(pictures)  # type: ignore[arg-type]
    top1 = {name: 100 * number / count for name, number in correct.items()}
    return top1 | {"images": count, "size": int(checkpoint.preprocess["size"])}


def fingerprint(path: Path) -> str:
    """Names the content of a checkpoint's file, so that figures can be told from those of other weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lambda_core.training.halves", description=__doc__)
    parser.add_argument("checkpoint", help="a network of the zoo, or a .safetensors or .pt file")
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=writable, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    try:
        loaded = load_checkpoint(options.checkpoint)
        figures = measure(loaded, options.data, options.workers)
    except (CheckpointRefused, data.DataMissing, ValueError) as error:
        sys.exit(str(error))
    print(json.dumps(figures))
    if options.json:
        file = zoo().get(options.checkpoint, Path(options.checkpoint))
        report = {
            "command": f"python -m lambda_core.training.halves {options.checkpoint} --data DIR",
            "date": date.today().isoformat(),
            "checkpoint": options.checkpoint,
            "weights": fingerprint(file),
            "top1": figures,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    keep_memory()
    main()
