"""A network on its way: what one of its lambda layers makes of a picture after some epochs of training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import streamlit as st
from PIL import Image

from explorer import images, loading, places, tiles, words
from explorer.loading import LayerInfo
from explorer.theme import MINUS
from lambda_core import LambdaLayer, load_checkpoint, trace
from lambda_core.data import prepare

WIDE = 640  # pixels, about, of a sheet of kernels


@dataclass(frozen=True)
class Formed:
    """After one epoch: E (k, R, C), λc and λp of the middle pixel (k, v), and the answer: classes, their shares.

    E is the sum of the kernels of u, of which there are dim_u.
    """

    embeddings: np.ndarray | None
    content: np.ndarray | None
    position: np.ndarray | None
    classes: tuple[str, ...]
    shares: np.ndarray
    dim_u: int


@st.cache_data(max_entries=64, show_spinner=False)
def layers(run: str, _file: Path) -> list[LayerInfo]:
    """The lambda layers of a run's network, the same after every epoch."""
    return loading.lambda_layers(load_checkpoint(_file).model)


@st.cache_data(max_entries=64, show_spinner=False)
def halves(run: str, _file: Path) -> tuple[str, ...]:
    """The halves that the lambda layers of a run's network have."""
    return places.halves_of(load_checkpoint(_file).model)


@st.cache_data(max_entries=64, show_spinner=False)
def formed(file: str, picture_key: str, path: str, _picture: Image.Image) -> Formed:
    """What the checkpoint in `file` makes of a picture, at the lambda layer at `path`."""
    loaded = load_checkpoint(file)
    layer = cast(LambdaLayer, loaded.model.get_submodule(path))
    taps = trace(loaded.model, prepare(_picture, loaded.preprocess))
    found = {name.removeprefix(path + "."): t[0].numpy() for name, t in taps.items()}
    table, moving = None, found.get("position_lambda")
    if layer.embeddings is not None:
        table = layer.embeddings.detach().numpy().sum(1)
    if moving is not None:
        height, width = found["input"].shape[1:]
        moving = moving[(height // 2) * width + width // 2]
    shares = taps["output"][0].softmax(0).numpy()
    return Formed(table, found.get("content_lambda"), moving, loaded.classes, shares, layer.dim_u)


def limits(kept: Mapping[int, Path], picture: images.Picture, path: str) -> tuple[float, float]:
    """One scale for all epochs, that of the first and the last: the largest |E|, and the largest |λ|."""
    ends = (kept[min(kept)], kept[max(kept)])  # not each of sixty: every one is a network to read
    found = [formed(str(file), picture.key, path, picture.image) for file in ends]
    tables = [np.abs(one.embeddings).max() for one in found if one.embeddings is not None]
    lambdas = [np.abs(part).max() for one in found for part in (one.content, one.position) if part is not None]
    return float(max(tables, default=0)), float(max(lambdas, default=0))


def show(now: Formed, most: tuple[float, float], scheme: str) -> None:
    """E, λc and λp after one epoch, on the scale of all epochs."""
    if now.embeddings is not None:
        k, rows, across = now.embeddings.shape
        st.caption(
            f"**E**, {words.kernels(k, now.dim_u)}, {rows} × {across}: from −{most[0]:.2g} ({MINUS[scheme]}) to "
            f"{most[0]:.2g} (orange)"
        )
        columns = min(k, 8)
        cell = max(2, min(10, WIDE // (columns * across)))
        st.image(tiles.sheet(now.embeddings, "position", most[0], columns=columns, cell=cell, scheme=scheme))
    left, right = st.columns(2)
    halves = {"content": ("λᶜ, the same for every pixel", left), "position": ("λᵖ of the pixel in the middle", right)}
    for half, (title, column) in halves.items():
        if (matrix := getattr(now, half)) is not None:
            with column:
                st.caption(f"**{title}**, {matrix.shape[0]} × {matrix.shape[1]}, ±{most[1]:.2g}")
                st.image(tiles.sheet(matrix[None], half, most[1], columns=1, cell=14, scheme=scheme))
