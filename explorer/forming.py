"""A network on its way: what one of its lambda layers makes of a picture after some epochs of training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import streamlit as st
from PIL import Image

from explorer import images, loading, tiles
from lambda_core import LambdaLayer, load_checkpoint, trace
from lambda_core.data import DATASETS, prepare


@dataclass(frozen=True)
class Formed:
    """After one epoch: E (k, R, C), λc and λp of the middle pixel (k, v), and the answer: (class, probability)."""

    embeddings: np.ndarray | None
    content: np.ndarray | None
    position: np.ndarray | None
    answer: list[tuple[str, float]]


@st.cache_data(max_entries=64, show_spinner=False)
def formed(file: str, picture_key: str, number: int, _picture: Image.Image) -> Formed:
    """What the checkpoint in `file` makes of a picture, at its lambda layer `number` (counted from 0)."""
    loaded = load_checkpoint(file)
    info = loading.lambda_layers(loaded.model)[number]
    layer = cast(LambdaLayer, loaded.model.get_submodule(info.path))
    taps = trace(loaded.model, prepare(_picture, loaded.preprocess))
    found = {name.removeprefix(info.path + "."): t[0].numpy() for name, t in taps.items()}
    shares = taps["output"][0].softmax(0).numpy()
    best = [(loaded.classes[i], float(shares[i])) for i in np.argsort(-shares)[:3]]
    table, moving = None, found.get("position_lambda")
    if layer.embeddings is not None:
        table = layer.embeddings.detach().numpy()[:, 0]
    if moving is not None:
        height, width = found["input"].shape[1:]
        moving = moving[(height // 2) * width + width // 2]
    return Formed(table, found.get("content_lambda"), moving, best)


@st.cache_data(show_spinner=False)
def digit(number: int) -> images.Picture:
    """A handwritten digit that no training here has seen."""
    picture, label = DATASETS["digits"].load("val")[number]
    return images.Picture(picture.convert("RGB"), f"A handwritten {label}", None, f"digit_{number}")


def limits(kept: Mapping[int, Path], picture: images.Picture, number: int) -> tuple[float, float]:
    """One scale for all epochs, that of the first and the last: the largest |E|, and the largest |λ|."""
    ends = (kept[min(kept)], kept[max(kept)])  # not each of sixty: every one is a network to read
    found = [formed(str(file), picture.key, number, picture.image) for file in ends]
    tables = [np.abs(one.embeddings).max() for one in found if one.embeddings is not None]
    lambdas = [np.abs(part).max() for one in found for part in (one.content, one.position) if part is not None]
    return float(max(tables, default=0)), float(max(lambdas, default=0))


def show(now: Formed, most: tuple[float, float], scheme: Any) -> None:
    """E, λc and λp after one epoch, on the scale of all epochs."""
    scheme = "dark" if scheme == "dark" else "light"
    if now.embeddings is not None:
        k, rows, _ = now.embeddings.shape
        st.caption(f"**E**, {k} kernels of {rows} × {rows}: from −{most[0]:.2g} (grey) to {most[0]:.2g} (orange)")
        st.image(tiles.sheet(now.embeddings, "position", most[0], columns=8, cell=10, scheme=scheme))
    left, right = st.columns(2)
    halves = {"content": ("λᶜ, the same for every pixel", left), "position": ("λᵖ of the pixel in the middle", right)}
    for half, (title, column) in halves.items():
        if (matrix := getattr(now, half)) is not None:
            with column:
                st.caption(f"**{title}**, {matrix.shape[0]} × {matrix.shape[1]}, ±{most[1]:.2g}")
                st.image(tiles.sheet(matrix[None], half, most[1], columns=1, cell=14, scheme=scheme))
