"""What a network can learn from here: the digits that scikit-learn ships, and the data sets that are in the folder."""

import hashlib
from dataclasses import dataclass

import streamlit as st
from PIL import Image
from torch.utils.data import Dataset

from explorer import images, words
from lambda_core.data import DATASETS, DataMissing, data_folder, some, square, subset

LEAST = 32  # pictures: one batch
SHOWN, FACE, GAP = 12, 64, 8  # examples, their side and the space between them in pixels
LARGEST = 1024  # longer pictures are reduced before they are shown or looked at


@dataclass(frozen=True)
class Lesson:
    """A data set to learn from. side: of its pictures in the network.

    caption: of a picture, around the name of its class. further: whether trained networks may go on with it.
    """

    title: str
    text: str
    recipe: str
    side: int
    caption: str = "{}"
    further: bool = True


LESSONS = {
    "digits": Lesson(
        "Handwritten digits",
        "Small grey pictures of handwritten digits; the answer is one of ten numbers.",
        "digits", 16, caption="A handwritten {}", further=False,
    ),
    "imagenette": Lesson(
        "Imagenette",
        "Photographs of ten kinds of things, among them a fish, a dog, a church and a parachute. Harder than digits: "
        "expect minutes, and answers that are often wrong at first.",
        "photographs", 64,
    ),
    "cifar10": Lesson(
        "CIFAR-10", "Tiny photographs of ten kinds of animals and vehicles.", "photographs", 32,
    ),
    "imagefolder": Lesson(
        "Your pictures", "The pictures in your folders `train` and `val`; the name of a folder in them is the answer.",
        "photographs", 64,
    ),
}  # fmt: skip


class Unfit(ValueError):
    """A data set that nothing can be learned from; the message, a sentence for the page, says why and what would do."""


@dataclass(frozen=True)
class Contents:
    """What is in a data set: its classes, and how many pictures to train on and to hold out."""

    classes: tuple[str, ...]
    train: int
    held_out: int


def found() -> list[str]:
    """Names of what is here, the digits first. Only looks whether a folder is there, so it takes no time."""
    root = data_folder()
    return [name for name in LESSONS if DATASETS[name].here(root)]


@st.cache_resource(max_entries=8, ttl=600, show_spinner="Looking through the pictures")
def source(name: str, split: str, folder: str) -> Dataset:
    """The (picture, label) pairs of a data set. Raises Unfit."""
    try:
        return DATASETS[name].load(split, folder)
    except Exception as error:  # what a folder holds is anybody's guess, and so is what a loader makes of it
        if name == "digits" and isinstance(error, DataMissing):
            raise Unfit(f"{str(error).capitalize()}.") from error
        if name == "cifar10":
            raise Unfit("The files of CIFAR-10 are not complete: fetch the set again.") from error
        inside = DATASETS[name].places[0] if name == "imagenette" else "the data folder"
        raise Unfit(
            f"{LESSONS[name].title} cannot be used: {inside} must hold `train` and `val`, and each of them a folder of "
            f"pictures for every class, and `{split}` does not."
        ) from error


@st.cache_data(max_entries=8, ttl=600, show_spinner=False)
def contents(name: str, folder: str) -> Contents:
    """What is in a data set. Raises Unfit where that is not enough, or does not fit together."""
    title, kind = LESSONS[name].title, DATASETS[name]
    train, held_out = source(name, "train", folder), source(name, "val", folder)
    classes, others = kind.class_names(train), kind.class_names(held_out)
    if classes != others:
        odd = words.plain(sorted(set(classes) ^ set(others))[0])
        raise Unfit(f"{title} cannot be used: `train` and `val` must have the same classes, and one lacks “{odd}”.")
    if len(classes) < 2:
        raise Unfit(f"{title} cannot be used: there is one class alone, and at least two are needed to tell apart.")
    there = Contents(classes, len(train), len(held_out))  # type: ignore[arg-type]
    if there.train < LEAST:
        raise Unfit(f"{title} cannot be used: of {LEAST} pictures to train on, the least, there are {there.train}.")
    return there


def held_out(name: str, number: int, folder: str) -> images.Picture:
    """A picture that no training sees; number counts from 0 in a random order, of which a run measures the beginning.

    Raises Unfit for one that cannot be decoded.
    """
    val = source(name, "val", folder)
    total = len(val)  # type: ignore[arg-type]
    try:
        picture, label = val[subset(total, total)[number]]
        picture = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise Unfit("This picture is damaged and cannot be shown: take another number.") from error
    picture.thumbnail((LARGEST, LARGEST))
    key = hashlib.blake2b(picture.tobytes(), digest_size=12).hexdigest()
    answer = words.class_name(contents(name, folder).classes, label)
    return images.Picture(picture, LESSONS[name].caption.format(answer), None, key)


@st.cache_data(max_entries=8, ttl=600, show_spinner=False)
def examples(name: str, folder: str) -> Image.Image:
    """A few pictures to learn from, in a row. Raises Unfit if one of them is damaged."""
    train = some(source(name, "train", folder), SHOWN)
    row = Image.new("RGBA", (SHOWN * (FACE + GAP) - GAP, FACE))
    for i in range(SHOWN):
        try:
            face = square(train[i][0], FACE, interpolation="bicubic")
        except (OSError, SyntaxError, ValueError) as error:
            raise Unfit(f"{LESSONS[name].title} has pictures that are damaged: replace or remove them.") from error
        row.paste(face, (i * (FACE + GAP), 0))
    return row


def enlarged(picture: Image.Image, side: int = 240) -> Image.Image:
    """A picture to look at: pixels of small ones stay squares."""
    scale = side / max(picture.size)
    method = Image.Resampling.NEAREST if scale > 3 else Image.Resampling.BICUBIC
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), method)
