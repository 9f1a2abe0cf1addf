"""What each half of the lambda layers is worth to a trained network:

python -m lambda_core.training.halves NAME_OR_FILE --data DIR [--json FILE]

Top-1 accuracy on the pictures held out, at the size on the checkpoint's card: of the whole network, and with one half
switched off in every lambda layer. The network was trained with both, so this tells what it relies on, not how good
a network trained without that half would be (Bello 2021 trains those too, in its ablation study).
"""

import argparse
import json
import sys
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from lambda_core import data
from lambda_core.allocator import keep_memory
from lambda_core.arguments import writable
from lambda_core.checkpoints import Checkpoint, fingerprint, zoo
from lambda_core.switching import HALVES, everywhere, switched
from lambda_core.training.held_out import held_out, opened

Off = Mapping[str, Collection[str]]


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
    count = len(pictures)
    top1 = {name: 100 * number / count for name, number in correct.items()}
    return top1 | {"images": count, "size": int(checkpoint.preprocess["size"])}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lambda_core.training.halves", description=__doc__)
    parser.add_argument("checkpoint", help="a network of the zoo, or a .safetensors or .pt file")
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=writable, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    try:
        loaded = opened(options.checkpoint)
        figures = measure(loaded, options.data, options.workers)
    except (ValueError, OSError) as error:
        sys.exit(str(error).strip().splitlines()[-1])
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
