"""What each half of the lambda layers is worth to a trained network:

python -m lambda_core.training.halves NAME_OR_FILE --data DIR [--json FILE]

Top-1 accuracy on the pictures held out, at the size on the checkpoint's card: of the whole network, and with one half
switched off in every lambda layer. The network was trained with both, so this tells what it relies on, not how good
a network trained without that half would be (Bello 2021 trains those too, in its ablation study).
"""

import argparse
import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from lambda_core import data
from lambda_core.allocator import keep_memory
from lambda_core.arguments import DEVICE, WORKERS, command, refuse, usable_device, whole, writable, write_json
from lambda_core.checkpoints import Checkpoint, fingerprint, zoo
from lambda_core.switching import HALVES, everywhere, switched
from lambda_core.training.held_out import held_out, opened

Off = Mapping[str, Collection[str]]


@torch.no_grad()
def right_answers(checkpoint: Checkpoint, images: Tensor, labels: Tensor, off: Off) -> int:
    """How many of the pictures (b, 3, S, S) uint8 the network gets right with these halves switched off."""
    told = checkpoint.preparation()
    device = next(checkpoint.model.parameters()).device
    x = data.normalize(images.to(device), told["mean"], told["std"])
    with switched(checkpoint.model, off):
        return int((checkpoint.model(x).argmax(1) == labels.to(device)).sum())


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


def weights_of(name: str, model: nn.Module) -> str:
    """Names the weights that `opened` gave for a name, so that figures can be told from those of others.

    The `fingerprint` of their file; of weights that a package fetched, as timm/NAME, that of their numbers.
    """
    file = zoo().get(name, Path(name))
    if file.is_file():
        return fingerprint(file)
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode() + tensor.cpu().double().numpy().tobytes())
    return digest.hexdigest()[:16]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.training.halves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="a network of the zoo, a .safetensors or .pt file, or timm/NAME")
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--workers", type=whole, default=1, help=WORKERS)
    parser.add_argument("--device", type=usable_device, default="cpu", help=DEVICE)
    parser.add_argument("--json", type=writable, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args(arguments)
    try:
        loaded = opened(options.checkpoint, options.device)
        weights = weights_of(options.checkpoint, loaded.model)
        figures = measure(loaded, options.data, options.workers)
    except (ValueError, OSError) as error:
        refuse(error)
    print(json.dumps(figures))
    if options.json:
        report = {
            "command": command("python -m lambda_core.training.halves", arguments),
            "date": date.today().isoformat(),
            "checkpoint": options.checkpoint,
            "weights": weights,
            "top1": figures,
        }
        write_json(options.json, report, indent=2)


if __name__ == "__main__":
    keep_memory()
    main()
