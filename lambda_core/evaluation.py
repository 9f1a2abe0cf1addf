"""What a network gets right, how sure it is, and when it should say nothing:

python -m lambda_core.evaluation NAME_OR_FILE --data DIR [--json FILE]

Confusion matrix, calibration and hardest pictures on the validation set of the checkpoint's card, and a mark below
which a picture looks like none of the classes, tried on photographs of something else: those that scikit-image ships.
All of it follows from the network's answers and the labels; `report` puts it together.
"""

import argparse
import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from lambda_core import data
from lambda_core.allocator import keep_memory
from lambda_core.arguments import (
    DEVICE,
    WORKERS,
    command,
    extendable,
    positive,
    refuse,
    usable_device,
    whole,
    write_json,
)
from lambda_core.checkpoints import Checkpoint
from lambda_core.data import subset
from lambda_core.training.halves import weights_of
from lambda_core.training.held_out import held_out, opened

RESULTS = Path(__file__).with_name("results") / "predictions.json"
BINS = 15
HARDEST = 24
REFUSED = 0.05  # share of the validation photographs that the mark may refuse
OUTSIDE = (  # photographs in scikit-image's package
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png",
    "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png",
    "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip
SUBJECTS = {  # of these, what data sets have for a class; Imagenette has none of them
    "astronaut.png": ("astronaut", "person", "woman"), "chelsea.png": ("cat",), "coffee.png": ("coffee", "cup"),
    "moon.png": ("moon",), "motorcycle_left.png": ("motorbike", "motorcycle"), "rocket.jpg": ("rocket",),
}  # fmt: skip


def standard_error(correct: int, seen: int) -> float:
    """Of an accuracy in per cent, for `seen` pictures drawn at random: 100 sqrt(p (1 - p) / seen)."""
    share = correct / seen
    return 100 * (share * (1 - share) / seen) ** 0.5


def log_sum_exp(logits: np.ndarray) -> np.ndarray:
    """log(sum over classes of exp(logit)): (..., classes) -> (...). Minus the energy of Liu et al. 2020, T = 1."""
    most = logits.max(-1, keepdims=True)
    return np.log(np.exp(logits - most).sum(-1)) + most[..., 0]


class Answers(NamedTuple):
    """logits (n, classes), and what the classifier saw of each picture, features (n, dim)."""

    logits: np.ndarray
    features: np.ndarray


def likeness(features: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The cosine between what the classifier saw and the nearest class mean: (n, dim), (classes, dim) -> (n,)"""
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (features, means)]
    return (unit[0] @ unit[1].T).max(1)


# How familiar pictures are, from the network's answers and the class means; higher is more like one of the classes.
SCORES: dict[str, Callable[[Answers, np.ndarray], np.ndarray]] = {
    "energy": lambda answers, _: log_sum_exp(answers.logits),
    "largest logit": lambda answers, _: answers.logits.max(-1),
    "likeness": lambda answers, means: likeness(answers.features, means),
}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, in float64."""
    logits = np.asarray(logits, np.float64)
    return np.exp(logits - log_sum_exp(logits)[..., None])


def confusion(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """How often label i (row) was answered with j (column): (classes, classes)."""
    return np.bincount(labels * classes + answers, minlength=classes * classes).reshape(classes, classes)


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> dict[str, Any]:
    """Reliability diagram and expected calibration error (Guo et al. 2017, equations 1 to 3; bins of equal width).

    {"count", "confidence", "accuracy"} of each bin, the means None where a bin is empty, and "ece", the mean of
    |accuracy - confidence| over pictures.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bins are open below, closed above
    count = np.bincount(place, minlength=bins)
    sums = {"confidence": confidence, "accuracy": right.astype(float)}
    totals = {name: np.bincount(place, values, bins) for name, values in sums.items()}
    ece = float(np.abs(totals["accuracy"] - totals["confidence"]).sum() / len(confidence))
    means = {name: [t / c if c else None for t, c in zip(total, count, strict=True)] for name, total in totals.items()}
    return {"count": count.tolist(), **means, "ece": ece}


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """The chance that a score of `inside` is above one of `outside`; ties count half (Mann and Whitney 1947)."""
    order = np.sort(outside)
    below, up_to = np.searchsorted(order, inside, "left"), np.searchsorted(order, inside, "right")
    return float((below + up_to).sum() / (2 * len(inside) * len(outside)))


def class_means(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The mean of the features of each class, (classes, dim); zeros for a class without a picture."""
    means = np.zeros((classes, features.shape[1]))
    np.add.at(means, labels, features)
    return means / np.maximum(np.bincount(labels, minlength=classes), 1)[:, None]


def unfamiliar(inside: Answers, labels: np.ndarray, outside: Answers, refused: float = REFUSED) -> dict[str, Any]:
    """The mark below which a picture looks like none of the classes, from pictures of the classes and from others.

    Every second picture of the classes gives the class means, the rest gives the mark: the score that `refused` of
    them fall below. Of SCORES the one is taken that tells these from the others best (AUROC): by that choice, and by
    nothing else, its AUROC and the share of the others that the mark refuses are optimistic.
    """
    exact = class_means(inside.features[::2], labels[::2], inside.logits.shape[1])
    means = exact.astype(np.float16).astype(np.float32)  # as they are stored
    held = Answers(inside.logits[1::2], inside.features[1::2])
    scores = {name: (score(held, means), score(outside, means)) for name, score in SCORES.items()}
    areas = {name: auroc(*pair) for name, pair in scores.items()}
    best = max(areas, key=lambda name: areas[name])
    mark = float(np.quantile(scores[best][0], refused))
    packed = base64.b64encode(means.astype("<f2").tobytes()).decode() if best == "likeness" else None
    return {
        "score": best,
        "mark": mark,
        "auroc": areas,
        "refused_inside": float((scores[best][0] < mark).mean()),
        "refused_outside": float((scores[best][1] < mark).mean()),
        "inside": len(held.logits),
        "outside": len(outside.logits),
        "class_means": packed,
    }


def familiarity(answers: Answers, found: Mapping[str, Any]) -> np.ndarray:
    """The score of pictures on the scale of the mark in what `unfamiliar` found: below it, they look like no class."""
    means: np.ndarray = np.zeros((0, 0))
    if found["class_means"]:
        numbers = np.frombuffer(base64.b64decode(found["class_means"]), "<f2").astype(np.float32)
        means = numbers.reshape(answers.logits.shape[1], -1)
    return SCORES[found["score"]](answers, means)


def report(
    inside: Answers, labels: np.ndarray, indices: Sequence[int], outside: Answers | None = None
) -> dict[str, Any]:
    """All figures of some pictures, ready for JSON. labels (n,), indices: their places in the validation set.

    outside: the answers to pictures that show none of the classes, for the mark of `unfamiliar`.
    """
    logits = inside.logits
    probabilities = softmax(logits)
    answers = probabilities.argmax(1)
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-300))
    right = answers == labels
    hardest = [
        {
            "index": int(indices[i]), "label": int(labels[i]), "answer": int(answers[i]),
            "probability": round(float(probabilities[i, answers[i]]), 4), "loss": round(float(losses[i]), 4),
        }
        for i in np.argsort(-losses)[:HARDEST]
    ]  # fmt: skip
    return {
        "images": len(labels),
        "top1": 100 * float(right.mean()),
        "standard_error": standard_error(int(right.sum()), len(labels)),
        "loss": float(losses.mean()),
        "confusion": confusion(labels, answers, logits.shape[1]).tolist(),
        "calibration": calibration(probabilities.max(1), right),
        "hardest": hardest,
        "unfamiliar": None if outside is None else unfamiliar(inside, labels, outside),
    }


def run(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """model(x), and what its last linear layer, the classifier, takes: (b, classes), (b, dim)"""
    taken: list[Tensor] = []
    classifier = [part for part in model.modules() if isinstance(part, nn.Linear)][-1]
    handle = classifier.register_forward_pre_hook(lambda _module, args: taken.append(args[0]))
    try:
        return model(x), taken[-1]
    finally:
        handle.remove()


@torch.no_grad()
def answers_of(model: nn.Module, x: Tensor) -> Answers:
    """The answers to inputs (b, 3, H, W)."""
    logits, features = run(model, x)
    return Answers(logits.float().cpu().numpy(), features.float().cpu().numpy())


def joined(parts: Sequence[Answers]) -> Answers:
    """Batches of answers as one."""
    return Answers(*(np.concatenate(rows) for rows in zip(*parts, strict=True)))


def normalized(checkpoint: Checkpoint, pictures: Tensor) -> Tensor:
    """(b, 3, S, S) uint8 as the network takes them, where it is and of its type."""
    told = checkpoint.preparation()
    weight = next(checkpoint.model.parameters())
    return data.normalize(pictures.to(weight.device), told["mean"], told["std"]).to(weight)


def crops(picture: Image.Image) -> Iterator[Image.Image]:
    """The picture, and its four corners of two thirds of the shorter side."""
    yield picture
    side = 2 * min(picture.size) // 3
    for left in (0, picture.width - side):
        for top in (0, picture.height - side):
            yield picture.crop((left, top, left + side, top + side))


def outside_pictures(preprocess: Mapping[str, Any], classes: Sequence[str] = ()) -> Tensor:
    """Five crops of each photograph of OUTSIDE that shows none of the classes: (up to 90, 3, size, size) uint8.

    They are framed as a checkpoint's `preprocess` says, as those of its validation set are.
    """
    folder = resources.files("skimage") / "data"
    size, framing = int(preprocess["size"]), data.framing(preprocess)
    known = {name.lower() for name in classes}
    found = []
    for name in OUTSIDE:
        if known.intersection(SUBJECTS.get(name, ())):
            continue
        with (folder / name).open("rb") as file, Image.open(file) as picture:
            found += [data.decode(data.square(crop, size, **framing)) for crop in crops(picture.convert("RGB"))]
    return torch.stack(found)


def measure(
    checkpoint: Checkpoint, folder: str | Path | None = None, count: int | None = None, workers: int = 0
) -> dict[str, Any]:
    """The report of a checkpoint on `count` pictures of its validation set, drawn at random, else on all.

    Raises ValueError for fewer than two.
    """
    pictures: Dataset = held_out(checkpoint, folder)
    total = len(pictures)  # type: ignore[arg-type]
    indices = list(range(total)) if count is None else subset(total, count)
    if len(indices) < 2:
        raise ValueError(
            f"half of the pictures give the class means, the others the mark: take 2 or more, not {len(indices)}"
        )
    parts, labels = [], []
    loader = DataLoader(Subset(pictures, indices), 50, num_workers=workers)
    for batch, truth in tqdm(loader, unit_scale=50, unit=" pictures"):
        parts.append(answers_of(checkpoint.model, normalized(checkpoint, batch)))
        labels.append(truth.numpy())
    others = outside_pictures(checkpoint.preparation(), checkpoint.classes)
    outside = answers_of(checkpoint.model, normalized(checkpoint, others))
    return report(joined(parts), np.concatenate(labels), indices, outside)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="a network of the zoo, a .safetensors or .pt file, or timm/NAME")
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--count", type=positive, help="measure on this many pictures, drawn at random (else on all)")
    parser.add_argument("--workers", type=whole, default=1, help=WORKERS)
    parser.add_argument("--device", type=usable_device, default="cpu", help=DEVICE)
    parser.add_argument(
        "--json", type=extendable, metavar="FILE", help="write the figures there, beside those of other checkpoints"
    )
    options = parser.parse_args(arguments)
    try:
        loaded = opened(options.checkpoint, options.device)
        weights = weights_of(options.checkpoint, loaded.model)
        found = measure(loaded, options.data, options.count, options.workers)
    except ModuleNotFoundError as error:
        refuse(f"the photographs of something else come with scikit-image: pip install scikit-image ({error})")
    except (ValueError, OSError) as error:
        refuse(error)
    strange = found["unfamiliar"]
    print(f"top-1 {found['top1']:.2f} % ± {found['standard_error']:.2f} of {found['images']:,} pictures")
    print(f"expected calibration error {100 * found['calibration']['ece']:.2f} %")
    print("AUROC " + ", ".join(f"{name} {area:.3f}" for name, area in strange["auroc"].items()))
    print(
        f"none of the classes where the {strange['score']} is below {strange['mark']:.3f}: refuses "
        f"{100 * strange['refused_inside']:.1f} % of these pictures and {100 * strange['refused_outside']:.1f} % of "
        f"{strange['outside']} others"
    )
    if options.json:
        said = {
            "command": command("python -m lambda_core.evaluation", arguments),
            "date": date.today().isoformat(),
            "weights": weights,
        }
        write_json(options.json, {options.checkpoint: said | found}, beside=True)


if __name__ == "__main__":
    keep_memory()
    main()
