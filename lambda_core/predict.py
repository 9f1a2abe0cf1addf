"""What a network sees in a picture: python -m lambda_core.predict IMAGE ... [--checkpoint NAME_OR_FILE] [--top 5]

Prints the likeliest classes with their probabilities as a table, or all of it as JSON.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, UnidentifiedImageError

from lambda_core.arguments import positive, print_in_utf8, refuse, usable_device, writable, write_json
from lambda_core.checkpoints import Checkpoint, CheckpointRefused, load_checkpoint
from lambda_core.data import class_name, prepare
from lambda_core.pictures import READABLE, read_upright

DEFAULT = "lambda_resnet_mini"


class PictureRefused(ValueError):
    """A file that is no picture; the message says which, and why."""


def read_picture(path: str | Path) -> Image.Image:
    """The picture in a file, turned the way its camera says. Raises PictureRefused, in one sentence."""
    try:
        return read_upright(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise PictureRefused(f"there is no picture {str(path)!r}: give the path of an image file") from error
    except UnidentifiedImageError as error:
        raise PictureRefused(f"{str(path)!r} is not a picture: give a {READABLE} file") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureRefused(f"{str(path)!r} cannot be read, it is damaged or too large ({error})") from error


@torch.inference_mode()
def predict(checkpoint: Checkpoint, image: Image.Image, top: int = 5) -> list[dict[str, Any]]:
    """The `top` likeliest classes, likeliest first: [{"class": name, "index": int, "probability": 0..1}, ...].

    Probabilities are the softmax of the network's scores, whose input is `data.prepare` with the checkpoint's
    preprocessing. More than there are classes gives all. Raises ValueError for top < 1, and CheckpointRefused for a
    checkpoint that does not say how a picture is prepared, or that ends in features.
    """
    if top < 1:
        raise ValueError(f"top must be at least 1, not {top}")
    preprocess = checkpoint.preparation()
    checkpoint.check_scores()
    weight = next(checkpoint.model.parameters())  # where the network is, and of which type
    scores = checkpoint.model(prepare(image, preprocess).to(weight))[0].float()
    if not scores.isfinite().all():
        raise CheckpointRefused("the network's scores are not numbers: its weights are damaged, or do not belong to it")
    probabilities, indices = scores.softmax(0).topk(min(top, len(scores)))
    return [
        {"class": class_name(checkpoint.classes, index), "index": index, "probability": probability}
        for index, probability in zip(indices.tolist(), probabilities.tolist(), strict=True)
    ]


def table(predictions: Sequence[dict[str, Any]]) -> str:
    """One line a class: its probability in per cent, and its name."""
    return "\n".join(f"{100 * found['probability']:7.2f} %  {found['class']}" for found in predictions)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.predict", description="The likeliest classes of pictures, as a table or as JSON."
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=f"a picture: {READABLE}")
    parser.add_argument(
        "--checkpoint", default=DEFAULT, help="a network of the zoo, a file, or timm/NAME (%(default)s)"
    )
    parser.add_argument("--top", type=positive, default=5, help="how many classes (%(default)s)")
    parser.add_argument(
        "--json",
        type=_printed_or_written,
        metavar="FILE",
        help="write the result to this file; - prints it, and no table",
    )
    parser.add_argument("--device", type=usable_device, default="cpu", help="cpu, cuda, cuda:1, mps (%(default)s)")
    sys.exit(run(parser.parse_args(arguments)))


def _printed_or_written(text: str) -> str | Path:
    return text if text == "-" else writable(text)


def run(options: argparse.Namespace) -> int:
    """The exit code: 2 if a picture could not be read, which does not keep the others from their answer, else 0.

    Ends the command where the checkpoint cannot be used, or the JSON file not be written.
    """
    results: list[dict[str, Any]] = []
    code = 0
    try:
        checkpoint = load_checkpoint(options.checkpoint, options.device)
        for path in options.images:
            try:
                predictions = predict(checkpoint, read_picture(path), options.top)
            except PictureRefused as error:
                print(error, file=sys.stderr)
                code = 2
                continue
            results.append({"image": path, "predictions": predictions})
            if options.json != "-":
                print(f"{path}\n{table(predictions)}")
    except ValueError as error:  # CheckpointRefused, or a network that does not take its own pictures
        refuse(error)
    found = {"checkpoint": options.checkpoint, "images": results}
    if options.json == "-":
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif options.json:
        write_json(options.json, found, indent=2)
    return code


if __name__ == "__main__":
    print_in_utf8()
    main()
