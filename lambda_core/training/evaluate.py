"""Measure a checkpoint again: python -m lambda_core.training.evaluate NAME_OR_FILE --data DIR [--json FILE]

Prints top-1 and top-5 accuracy and loss on the pictures held out, at the size on the checkpoint's card.
"""

import argparse
import json
from pathlib import Path

from torch.utils.data import DataLoader

from lambda_core import data
from lambda_core.allocator import keep_memory
from lambda_core.arguments import DEVICE, WORKERS, refuse, usable_device, whole, writable, write_json
from lambda_core.training.held_out import held_out, opened
from lambda_core.training.loop import evaluate


def measure(
    checkpoint: str, folder: str | Path | None, workers: int = 1, device: str = "cpu", dataset: str | None = None
) -> dict[str, float]:
    """{"top1", "top5": per cent, "loss": nats, "size": px, "images": count} of a checkpoint on the validation split.

    dataset: see `held_out`.
    """
    loaded = opened(checkpoint, device)
    val = held_out(loaded, folder, dataset)
    told = loaded.preparation()
    loader = DataLoader(val, 100, num_workers=workers)
    found = evaluate(loaded.model, loader, len(loaded.classes), device, told["mean"], told["std"])
    return found | {"size": int(told["size"]), "images": len(val)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="a network of the zoo, a .safetensors or .pt file, or timm/NAME")
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--dataset", choices=data.DATASETS, help="the one on the card, unless given")
    parser.add_argument("--workers", type=whole, default=1, help=WORKERS)
    parser.add_argument("--device", type=usable_device, default="cpu", help=DEVICE)
    parser.add_argument("--json", type=writable, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args(arguments)
    try:
        figures = measure(options.checkpoint, options.data, options.workers, options.device, options.dataset)
    except (ValueError, OSError) as error:
        refuse(error)
    print(json.dumps(figures))
    if options.json:
        write_json(options.json, figures, indent=None)


if __name__ == "__main__":
    keep_memory()
    main()
