"""Data sets by name, and the transforms that training and evaluation share.

torchvision is imported by the functions that use it: it takes a second, and looking at a network does not need it.
Nothing is downloaded unless asked: the folder comes from `--data`, else from the variable LAMBDA_DATA, else ./data.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from torchvision.datasets import Imagenette

IMAGENETTE_CLASSES = (
    "tench", "English springer", "cassette player", "chain saw", "church",
    "French horn", "garbage truck", "gas pump", "golf ball", "parachute",
)  # fmt: skip
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DataMissing(FileNotFoundError):
    """A data set is not where it was looked for; the message says what is missing and how to get it."""


def data_folder(path: str | Path | None = None) -> Path:
    """The folder that holds data sets: the argument, else LAMBDA_DATA, else ./data."""
    return Path(path or os.environ.get("LAMBDA_DATA") or "data")


def imagenette(split: str, folder: str | Path | None = None, *, download: bool = False) -> "Imagenette":
    """Imagenette at 160 px, `split` "train" (9,469 photographs) or "val" (3,925), 10 classes of ImageNet."""
    root = data_folder(folder)
    if root.name == "imagenette2-160":
        root = root.parent
    present = (root / "imagenette2-160" / split).is_dir()
    if not present and not download:
        raise DataMissing(
            f"Imagenette is not in {root}: expected {root / 'imagenette2-160' / split}; "
            "pass --data FOLDER or set LAMBDA_DATA, or add --download to fetch it (99 MB)"
        )
    from torchvision.datasets import Imagenette

    return Imagenette(root, split, "160px", download=download and not present)


def train_transform(size: int, scale: tuple[float, float] = (0.35, 1.0)) -> Callable[[Tensor], Tensor]:
    """Random-resized crop and flip of a photograph (3, H, W) uint8 -> (3, size, size) uint8."""
    from torchvision.transforms import v2

    return v2.Compose([v2.RandomResizedCrop(size, scale=scale, antialias=True), v2.RandomHorizontalFlip()])


def eval_transform(size: int) -> Callable[[Tensor], Tensor]:
    """Shorter side to size (bicubic), centre crop: (3, H, W) uint8 -> (3, size, size) uint8."""
    from torchvision.transforms import InterpolationMode, v2

    return v2.Compose([v2.Resize(size, InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(size)])


def normalize(images: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """(..., 3, H, W) uint8 in 0..255 -> float32, shares of 255 less `mean`, over `std`, channel by channel."""
    centre, spread = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (mean, std))
    return (images.float() / 255 - centre) / spread


def square(image: Image.Image, size: int) -> Image.Image:
    """What a network sees of a picture: shorter side to `size` (bicubic), then the centre crop, as in `eval_transform`.

    Only the crop is computed, so a picture of 1 x 50,000 pixels costs no more than any other.
    """
    shorter = min(image.size)

    def span(side: int) -> tuple[float, float]:
        scaled = int(size * side / shorter)
        start = round((scaled - size) / 2)  # whole pixels of the scaled picture, which is never made
        return start * side / scaled, (start + size) * side / scaled

    (left, right), (top, bottom) = span(image.width), span(image.height)
    return image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC, box=(left, top, right, bottom))


def prepare(image: Image.Image, preprocess: Mapping[str, Any]) -> Tensor:
    """The input of a network, (1, 3, size, size) float32. preprocess: a checkpoint's {size, mean, std}."""
    pixels = decode(square(image, int(preprocess["size"])))
    return normalize(pixels, preprocess["mean"], preprocess["std"])[None]


def decode(image: Image.Image) -> Tensor:
    """(3, H, W) uint8 in RGB."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


class Repeatable(Dataset):
    """(uint8 image, label) pairs whose random transforms depend on (seed, epoch, index) alone.

    So a run continues bit for bit after a stop, whatever the number of workers. With `cache` the decoded photographs
    stay in memory, shared by forked workers (1 GB for Imagenette at 160 px).
    """

    def __init__(self, source: Dataset, transform: Callable, *, seed: int = 0, cache: bool = False) -> None:
        self.source, self.transform, self.seed, self.epoch = source, transform, seed, 0
        self.cache = [self._load(index) for index in range(len(self))] if cache else None

    def __len__(self) -> int:
        return len(self.source)  # type: ignore[arg-type]

    def _load(self, index: int) -> tuple[Tensor, int]:
        image, label = self.source[index]
        return decode(image), label

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self._load(index) if self.cache is None else self.cache[index]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((self.seed * 1_000_003 + self.epoch) * 1_000_003 + index)
            return self.transform(image), label
