"""Attributions for pages: computed once for all sessions, in slices, with progress, and given up when asked."""

import base64
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import streamlit as st
import torch
from PIL import Image
from torch import Tensor

from explorer import images, loading, words
from lambda_core.attribution import FILLS, METHODS, Curve, Halves, attribute, cascade, curve, halves, replaced
from lambda_core.data import prepare, square

SIDE = 384  # pixels of the photographs that components get
Progress = Callable[[float], Any]
KEPT = 300  # results; the largest takes half a megabyte
WAIT = 0.2  # seconds between two looks whether who waits for another session's result still wants it


@dataclass(frozen=True)
class Question:
    """Why does the network give this picture this logit? layer: the place that layered methods look at."""

    picture: images.Picture
    target: int
    layer: str

    @property
    def x(self) -> Tensor:
        """The network's input."""
        return prepare(self.picture.image, loading.checkpoint().preprocess)


@dataclass(frozen=True)
class Job:
    """Something to compute: a kind of WORK, for a method of METHODS or for a layer."""

    kind: str
    name: str

    @property
    def title(self) -> str:
        return f"{TITLES[self.kind]}{METHODS[self.name].title}" if self.name in METHODS else TITLES[self.kind]

    @property
    def quick(self) -> bool:
        """Whether it is one pass, done before anyone could cancel it."""
        return self.kind == "map" and METHODS[self.name].cheap


@dataclass(frozen=True)
class Result:
    """What a job gave, in plain arrays, and the seconds it took."""

    value: Any
    seconds: float


class Store:
    """The last results, for all sessions."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple, Result] = OrderedDict()
        self._turns: WeakValueDictionary[tuple, threading.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, key: tuple, waiting: Callable[[], Any]) -> Iterator[None]:
        """Only one session at a time computes a result; `waiting` is called now and then, and may raise to give up."""
        with self._lock:
            mine = self._turns.get(key) or threading.Lock()
            self._turns[key] = mine  # until nobody has it any more
        while not mine.acquire(timeout=WAIT):
            waiting()
        try:
            yield
        finally:
            mine.release()

    def get(self, key: tuple) -> Result | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: tuple, result: Result) -> None:
        with self._lock:
            self._found[key] = result
            while len(self._found) > KEPT:
                self._found.popitem(last=False)


@st.cache_resource(show_spinner=False)
def _store() -> Store:
    return Store()


@st.cache_data(max_entries=64, show_spinner=False)
def _logits(picture_key: str, network: str, mask_bytes: bytes, fill: str, _image: Any) -> np.ndarray:
    loaded = loading.checkpoint()
    x = prepare(_image, loaded.preprocess)
    if mask_bytes:
        side = int(len(mask_bytes) ** 0.5)
        mask = torch.frombuffer(bytearray(mask_bytes), dtype=torch.bool).view(1, 1, side, side)
        x = replaced(x, torch.nn.functional.interpolate(mask.float(), x.shape[2:], mode="area"), fill)
    with loading.LOCK, torch.no_grad():
        return loaded.model(x.contiguous(memory_format=torch.channels_last))[0].float().numpy()


def logits(picture: images.Picture, mask: np.ndarray | None = None, fill: str = "blur") -> np.ndarray:
    """The network's answer to a picture, where a mask (side, side) of bool may cover a part of it."""
    covered = mask.tobytes() if mask is not None and mask.any() else b""
    return _logits(picture.key, loading.network_key(), covered, fill, picture.image)


@st.cache_data(max_entries=8, show_spinner=False)
def _plain_logits(network: str) -> np.ndarray:
    loaded = loading.checkpoint()
    side = int(loaded.preprocess["size"])
    with loading.LOCK, torch.no_grad():
        return loaded.model(torch.zeros(1, 3, side, side))[0].float().numpy()


def rise(question: Question) -> float:
    """The logit of a question over that of the baseline, the data's mean colour alone, for complete methods."""
    return float(logits(question.picture)[question.target] - _plain_logits(loading.network_key())[question.target])


@st.cache_data(max_entries=64, show_spinner=False)
def filled(key: str, fill: str, crop: float, _image: Image.Image) -> str:
    """A whole picture as it looks where it is covered, as base64 JPEG. crop: of the network, as `square` takes it."""
    pixels = torch.from_numpy(np.asarray(square(_image, 128, crop), np.float32)).permute(2, 0, 1)[None]
    shown = FILLS[fill](pixels)[0].permute(1, 2, 0).clamp(0, 255).byte().numpy()
    buffer = BytesIO()
    Image.fromarray(shown).save(buffer, "JPEG", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()


def number(value: float, places: int = 2, *, sign: bool = False) -> str:
    """A number as people read it: a true minus, and no sign on what is printed as zero. sign: a plus too."""
    rounded = round(float(value), places) or 0.0  # -0.0 is false as well
    return f"{rounded:{'+' if sign and rounded else ''}.{places}f}".replace("-", "−")


def step(before: float, after: float, places: int = 2) -> str:
    """From one number to another, as both are printed: who subtracts them finds this."""
    return number(round(float(after), places) - round(float(before), places), places, sign=True)


def class_name(target: int) -> str:
    """A class as people call it, and no other; what a click and a link say."""
    return words.class_name(loading.checkpoint().classes, target)


def part(progress: Progress, done: int, count: int) -> Progress:
    """The progress of one of `count` parts, as that of the whole."""
    return lambda share: progress((done + share) / count)


def _map(question: Question, name: str, progress: Progress) -> np.ndarray:
    layer = question.layer if METHODS[name].layered else None
    found = attribute(
        loading.checkpoint().model, question.x, question.target, method=name, layer=layer,
        lock=loading.LOCK, progress=progress,
    )  # fmt: skip
    return found[0].numpy()


def _curves(question: Question, name: str, progress: Progress) -> dict[str, Curve]:
    """Deletion and insertion by the map, and by a random one."""
    heat = torch.from_numpy(find(question, Job("map", name), lambda _share: progress(0.0)).value)
    chance = torch.rand(heat.shape, generator=torch.Generator().manual_seed(0))
    found, x = {}, question.x
    plans = [("deletion", heat, False), ("insertion", heat, True), ("deletion, random", chance, False)]
    for done, (label, order, insert) in enumerate([*plans, ("insertion, random", chance, True)]):
        found[label] = curve(
            loading.checkpoint().model, x, question.target, order, insert=insert, lock=loading.LOCK,
            progress=part(progress, done, 4),
        )  # fmt: skip
    return found


def _cascade(question: Question, name: str, progress: Progress) -> dict[str, Any]:
    layer = question.layer if METHODS[name].layered else None
    model = loading.checkpoint().model
    found = cascade(
        model, question.x, question.target, method=name, layer=layer, lock=loading.LOCK, progress=progress
    )  # fmt: skip
    return {"names": found.names, "similarity": found.similarity, "maps": found.maps.numpy()}


def _halves(question: Question, _name: str, progress: Progress) -> dict[str, Halves]:
    """The shares of every lambda layer, by its path."""
    model, x = loading.checkpoint().model, question.x
    paths = [info.path for info in loading.lambda_layers(model)]
    return {
        path: halves(
            model, x, question.target, path, lock=loading.LOCK,
            progress=part(progress, done, len(paths)),
        )
        for done, path in enumerate(paths)
    }  # fmt: skip


WORK: dict[str, Callable[[Question, str, Progress], Any]] = {
    "map": _map, "curves": _curves, "cascade": _cascade, "halves": _halves,
}  # fmt: skip
TITLES = {
    "map": "",
    "curves": "Insertion and deletion by ",
    "cascade": "Sanity check of ",
    "halves": "The split over the halves",
}


def _key(question: Question, job: Job) -> tuple:
    layer = question.layer if job.name in METHODS and METHODS[job.name].layered else ""
    return loading.network_key(), question.picture.key, question.target, layer, job.kind, job.name


def known(question: Question, job: Job) -> Result | None:
    """The result of a job, if it was computed lately, by any session."""
    return _store().get(_key(question, job))


def find(question: Question, job: Job, progress: Progress) -> Result:
    """The result of a job, computed now unless it is known: by one session, while others that ask for it wait."""
    with _store().turn(_key(question, job), lambda: progress(0.0)):
        if result := known(question, job):
            return result
        start = time.perf_counter()
        value = WORK[job.kind](question, job.name, progress)
        result = Result(value, time.perf_counter() - start)
        _store().put(_key(question, job), result)
        return result


def hue(name: str) -> str:
    """Of a method's map: positions of a layer have another than pixels of the picture."""
    return "output" if METHODS[name].layered else "lambda"


def why_not(name: str) -> str | None:
    """Why a method does not apply to this session's network, or None."""
    return METHODS[name].why_not(loading.checkpoint().model)
