"""Data sets by name, and the transforms that training and evaluation share.

torchvision is imported by the functions that use it: it takes a second, and looking at a network does not need it.
Nothing is downloaded unless asked: the folder comes from `--data`, else from the variable LAMBDA_DATA, else ./data.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Subset

if TYPE_CHECKING:
    from torchvision.datasets import Imagenette

IMAGENETTE_CLASSES = (
    "tench", "English springer", "cassette player", "chain saw", "church",
    "French horn", "garbage truck", "gas pump", "golf ball", "parachute",
)  # fmt: skip
IMAGENETTE_FOLDERS = (  # of these, as they are unpacked
    "n01440764", "n02102040", "n02979186", "n03000684", "n03028079",
    "n03394916", "n03417042", "n03425413", "n03445777", "n03888257",
)  # fmt: skip
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def imagenet_classes() -> tuple[str, ...]:
    """The thousand classes of ImageNet, in the usual order."""
    from torchvision.models import get_model_weights

    return tuple(get_model_weights("resnet50").DEFAULT.meta["categories"])


def class_name(classes: Sequence[str], index: int) -> str:
    """A class by its number, which counts from 0: its name, or "class 3" where it has none."""
    return (classes[index] if index < len(classes) else "") or f"class {index}"


class DataMissing(FileNotFoundError):
    """A data set is not where it was looked for; the message says what is missing and how to get it."""


class DataNotFetched(DataMissing):
    """One that `download` would bring."""


class DataBroken(ValueError):
    """A file of a data set cannot be read; the message names it."""


def data_folder(path: str | Path | None = None) -> Path:
    """The folder that holds data sets: the argument, else LAMBDA_DATA, else ./data."""
    return Path(path or os.environ.get("LAMBDA_DATA") or "data")


def imagenette(split: str, folder: str | Path | None = None, *, download: bool = False) -> "Imagenette":
    """Imagenette at 160 px, `split` "train" (9,469 photographs) or "val" (3,925), 10 classes of ImageNet.

    Fewer photographs will do, but a folder for each class must be there. Raises DataNotFetched where none is.
    """
    root = data_folder(folder)
    if root.name == "imagenette2-160":
        root = root.parent
    place = root / "imagenette2-160"
    if not place.is_dir() and not download:
        raise DataNotFetched(
            f"Imagenette is not in {root}: expected {place / split} (99 MB); pass --data FOLDER or set LAMBDA_DATA"
        )
    if place.is_dir() and (lacking := [name for name in IMAGENETTE_FOLDERS if not (place / split / name).is_dir()]):
        raise DataMissing(
            f"{place} is not whole, as after a download that was cut short: of the ten folders in {split} it lacks "
            f"{len(lacking)}, {lacking[0]} first; remove {place} and fetch it again"
        )
    from torchvision.datasets import Imagenette

    return Imagenette(root, split, "160px", download=download and not place.is_dir())


def imagefolder(split: str, folder: str | Path | None = None, *, download: bool = False) -> Dataset:
    """FOLDER/train and FOLDER/val with a folder of pictures for each class, as ImageNet is kept.

    A network sees them in training and measuring as `lambda_core.predict` shows them to it later. Raises DataMissing
    where they are not there.
    """
    root = data_folder(folder)
    if not (root / split).is_dir():
        raise DataMissing(
            f"there is no {root / split}: --data must hold the folders train and val, each with a folder of pictures a "
            "class; a set of this kind cannot be downloaded"
        )
    from lambda_core.folders import Folders

    return Folders(root / split)


def cifar10(split: str, folder: str | Path | None = None, *, download: bool = False) -> Dataset:
    """CIFAR-10: 50,000 and 10,000 pictures of 32 px in 10 classes.

    As its authors pack it, cifar-10-batches-py, or as PNG files, cifar10/train/CLASS/... and cifar10/test/CLASS/...
    Raises DataNotFetched where neither is there.
    """
    root = data_folder(folder)
    if root.name in ("cifar10", "cifar-10-batches-py"):
        root = root.parent
    pictures = root / "cifar10" / ("train" if split == "train" else "test")
    if pictures.is_dir():
        from lambda_core.folders import Folders

        found = Folders(pictures)
        if tuple(found.classes) != CIFAR10_CLASSES:
            raise DataMissing(f"{pictures} must hold the ten folders {', '.join(CIFAR10_CLASSES)}, and holds others")
        found.sort(_number)
        return found
    from torchvision.datasets import CIFAR10

    try:
        return CIFAR10(root, train=split == "train", download=download)
    except RuntimeError as error:
        raise DataNotFetched(
            f"CIFAR-10 is not in {root}: expected {root / 'cifar-10-batches-py'} (170 MB), or {pictures} with a folder "
            "of PNG files a class; pass --data FOLDER or set LAMBDA_DATA"
        ) from error


def _number(file: str) -> tuple[int, str]:
    """That a file's name begins with, by which pictures in folders come in the order that they had in one file."""
    name = Path(file).name
    digits = name[: len(name) - len(name.lstrip("0123456789"))]
    return int(digits or 0), file


def digits(split: str, folder: str | Path | None = None, *, download: bool = False) -> Dataset:
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships; every fifth one is held out for "val".

    Raises DataMissing without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataMissing("the digits come with scikit-learn, which is not here: pip install scikit-learn") from error

    found = load_digits()
    held = np.arange(len(found.target)) % 5 == 4
    chosen = held if split == "val" else ~held
    pixels = (found.images[chosen] * (255 / 16)).astype(np.uint8)
    return _Pictures([Image.fromarray(image) for image in pixels], found.target[chosen].tolist())


class _Pictures(Dataset):
    """Pictures and labels that lie in memory."""

    def __init__(self, pictures: list[Image.Image], labels: list[int]) -> None:
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.pictures[index], self.labels[index]


class DataSet(NamedTuple):
    """How a data set is loaded, and what a model card says of it.

    classes: None for those that its folders name. cache: whether it is small enough to be kept in memory, decoded.
    places: what of it must lie in the folder of data sets, any of them; nothing for one that a package brings.
    """

    load: Callable[..., Dataset]
    title: str
    classes: tuple[str, ...] | None
    cache: bool
    places: tuple[str, ...] = ()

    def here(self, folder: Path) -> bool:
        """Whether some of it lies in a folder of data sets, or is that folder; whether it is whole is not looked at."""
        return not self.places or any(folder.name == place or (folder / place).is_dir() for place in self.places)

    def class_names(self, loaded: Dataset) -> tuple[str, ...]:
        """The classes, by label."""
        return self.classes if self.classes is not None else tuple(loaded.classes)  # type: ignore[attr-defined]


DATASETS: dict[str, DataSet] = {
    "imagenette": DataSet(imagenette, "Imagenette at 160 px", IMAGENETTE_CLASSES, True, ("imagenette2-160",)),
    "imagefolder": DataSet(imagefolder, "A folder of pictures", None, False, ("train",)),
    "cifar10": DataSet(cifar10, "CIFAR-10", CIFAR10_CLASSES, True, ("cifar-10-batches-py", "cifar10")),
    "digits": DataSet(digits, "The digits of scikit-learn", tuple("0123456789"), True),
}


def train_transform(
    size: int,
    scale: tuple[float, float] = (0.35, 1.0),
    *,
    pad: int = 0,
    flip: bool = True,
    randaugment: tuple[int, int] | None = None,
    erase: float = 0.0,
) -> Callable[[Tensor], Tensor]:
    """(3, H, W) uint8 -> (3, size, size) uint8: a random crop, a mirror image half of the time, and more if asked.

    The crop has `scale` of the area and is resized; with pad > 0 it is cut from the picture, its shorter side resized
    to `size`, with `pad` pixels of zeros around it. randaugment: (operations, magnitude of 30), Cubuk et al. 2019.
    erase: the share of pictures of which a random rectangle turns grey, Zhong et al. 2020, "Random Erasing Data
    Augmentation".
    """
    from torchvision.transforms import v2

    steps: list[Any] = []
    if pad:
        steps += [v2.Resize(size, antialias=True), v2.RandomCrop(size, padding=pad)]
    else:
        steps.append(v2.RandomResizedCrop(size, scale=scale, antialias=True))
    if flip:
        steps.append(v2.RandomHorizontalFlip())
    if randaugment:
        steps.append(v2.RandAugment(*randaugment))
    if erase:
        steps.append(v2.RandomErasing(erase, value=[255 * share for share in IMAGENET_MEAN]))
    return v2.Compose(steps)


def eval_transform(size: int, crop: float = 1.0, interpolation: str = "bicubic") -> Callable[[Tensor], Tensor]:
    """Shorter side to size / crop, centre crop: (3, H, W) uint8 -> (3, size, size) uint8."""
    from torchvision.transforms import InterpolationMode, v2

    method = InterpolationMode[interpolation.upper()]
    return v2.Compose([v2.Resize(int(size / crop), method, antialias=True), v2.CenterCrop(size)])


def normalize(images: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """(..., 3, H, W) uint8 in 0..255 -> float32, shares of 255 less `mean`, over `std`, channel by channel."""
    # Not made on the device: that waits for all that it has to do.
    channels = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    centre, spread = (values.to(images.device, non_blocking=True) for values in channels)
    return (images.float() / 255 - centre) / spread


def square(image: Image.Image, size: int, crop: float = 1.0, interpolation: str = "bicubic") -> Image.Image:
    """What a network sees of a picture: shorter side to `size` / `crop`, then the centre crop, as in `eval_transform`.

    Only the crop is computed, so a picture of 1 x 50,000 pixels costs no more than any other.
    """
    shorter = min(image.size)

    def span(side: int) -> tuple[float, float]:
        scaled = int(int(size / crop) * side / shorter)
        start = round((scaled - size) / 2)  # whole pixels of the scaled picture, which is never made
        return start * side / scaled, (start + size) * side / scaled

    (left, right), (top, bottom) = span(image.width), span(image.height)
    method = Image.Resampling[interpolation.upper()]
    return image.convert("RGB").resize((size, size), method, box=(left, top, right, bottom))


def prepare(image: Image.Image, preprocess: Mapping[str, Any]) -> Tensor:
    """The input of a network, (1, 3, size, size) float32.

    preprocess: a checkpoint's {size, mean, std}; some add {crop, interpolation}, see `square`.
    """
    pixels = decode(square(image, int(preprocess["size"]), **framing(preprocess)))
    return normalize(pixels, preprocess["mean"], preprocess["std"])[None]


def framing(preprocess: Mapping[str, Any]) -> dict[str, Any]:
    """What `square` and `eval_transform` take beside the size: the "crop" and "interpolation" that there are."""
    return {name: preprocess[name] for name in ("crop", "interpolation") if name in preprocess}


def decode(image: Image.Image) -> Tensor:
    """(3, H, W) uint8 in RGB."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def subset(count: int, size: int, seed: int = 0) -> list[int]:
    """`size` of `count` indices, drawn at random without repeats; the same for the same seed, smaller in larger."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:size].tolist()


def some(source: Dataset, count: int, seed: int = 0) -> Dataset:
    """`count` pictures drawn as by `subset`; 0 for all of them."""
    total = len(source)  # type: ignore[arg-type]
    return Subset(source, subset(total, count, seed)) if 0 < count < total else source


class _Cache:
    """Pictures, of whatever sizes, and their labels.

    One tensor for all pixels: where processes that load do not fork, each tensor that they share is an open file.
    """

    def __init__(self, pairs: Iterable[tuple[Tensor, int]]) -> None:
        pixels = bytearray()
        self.ends, self.sides, self.labels = [0], list[tuple[int, int]](), list[int]()
        for image, label in pairs:
            pixels += image.numpy().tobytes()
            self.ends.append(len(pixels))
            self.sides.append((image.shape[1], image.shape[2]))
            self.labels.append(label)
        self.pixels = torch.frombuffer(pixels, dtype=torch.uint8) if pixels else torch.empty(0, dtype=torch.uint8)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.pixels[self.ends[index] : self.ends[index + 1]].view(3, *self.sides[index]), self.labels[index]


class Repeatable(Dataset):
    """(uint8 image, label) pairs whose random transforms depend on (seed, epoch, index) alone.

    So a run continues bit for bit after a stop, whatever the number of workers. With `cache` the decoded photographs
    stay in memory, shared by all workers (1 GB for Imagenette at 160 px).
    """

    def __init__(self, source: Dataset, transform: Callable, *, seed: int = 0, cache: bool = False) -> None:
        self.source, self.transform, self.seed, self.epoch = source, transform, seed, 0
        self.cache = _Cache(map(self._load, range(len(self)))) if cache else None

    def __len__(self) -> int:
        return len(self.source)  # type: ignore[arg-type]

    def _load(self, index: int) -> tuple[Tensor, int]:
        try:
            image, label = self.source[index]
            return decode(image), label
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataBroken(
                f"{self._name(index)} cannot be decoded ({error}): replace or remove it, then run the same command "
                "again"
            ) from error

    def _name(self, index: int) -> str:
        """The file of a picture where its data set tells, else its number."""
        source: Any = self.source
        if isinstance(source, Subset):
            source, index = source.dataset, source.indices[index]
        for name in ("samples", "_samples"):
            if files := getattr(source, name, None):
                return str(files[index][0])
        return f"picture {index} of {type(source).__name__}"

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self._load(index) if self.cache is None else self.cache[index]
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would seed every device, which takes longer than the transform
            torch.default_generator.manual_seed(((self.seed * 1_000_003 + self.epoch) * 1_000_003 + index) % 2**64)
            return self.transform(image), label
