"""Both halves of every lambda layer: the canvas of one layer, their sizes in all, the answer with some switched off."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from PIL import Image

import lambda_core
from explorer import canvas, images, loading, state, tour
from explorer.components.halves_canvas import halves_canvas
from explorer.components.lambda_canvas.pack import AXES
from explorer.loading import LOCK, Traced
from explorer.state import Selection
from lambda_core import trace
from lambda_core.checkpoints import fingerprint, zoo
from lambda_core.data import prepare
from lambda_core.switching import HALVES, halves, switched

Off = frozenset[tuple[str, str]]  # (a layer's path, its half) pairs that are switched off
STYLE = Path(__file__).parent / "assets" / "halves.css"
RESULTS = Path(lambda_core.__file__).with_name("results")


def show(picture: images.Picture, traced: Traced, *, key: str) -> None:
    """Draw the canvas of the two halves. Where its pixel is let go becomes the session's selection."""
    st.html(STYLE)
    version, selection = state.pushed()
    sent = canvas.packed(picture, traced, version, selection, mode="halves", names=AXES)
    with st.container(key="halves_stage"):
        result = halves_canvas(sent, key=key, on_selection_change=lambda: canvas.follow(key))
    tour.done().update(result.tasks or ())


def links(selection: Selection, traced: Traced) -> None:
    """The steps of this layer at this pixel that make what the canvas shows."""
    layer = traced.layer
    steps = [(4, "How λᶜ is made", layer["content"]), (5, "How λᵖ is made", layer["position"]), (8, "All heads", True)]
    with st.container(horizontal=True, gap="medium"):
        for step, title, built in steps:
            if built:
                query = state.to_query(replace(selection, step=step, cell=""))
                st.page_link(
                    "../pages/lambda_layer.py", label=f"{title}: step {step}", query_params=query,
                    icon=":material/arrow_forward:",
                )  # fmt: skip


def there() -> dict[str, tuple[str, ...]]:
    """The halves of each lambda layer of this session's network, by path."""
    return halves(loading.checkpoint().model)


def grouped(off: Off) -> dict[str, list[str]]:
    """`off` as `switched` takes it."""
    by_path: dict[str, list[str]] = {}
    for path, half in sorted(off):
        by_path.setdefault(path, []).append(half)
    return by_path


def said(off: Off) -> str:
    """`off` in words: "position off everywhere", "content off in Stage 3, block 1"."""
    if not off:
        return "whole"
    titles = {info.path: info.title for info in loading.lambda_layers(loading.checkpoint().model)}
    parts = []
    for half in HALVES:
        having = {path for path, names in there().items() if half in names}
        paths = [path for path in titles if (path, half) in off]
        if paths and having == set(paths):
            parts.append(f"{half} off everywhere")
        elif paths:
            where = " and ".join(titles[path].lower() for path in paths) if len(paths) < 3 else f"{len(paths)} layers"
            parts.append(f"{half} off in {where}")
    return ", ".join(parts)


@st.cache_data(max_entries=24, show_spinner=False)
def _sizes(picture_key: str, network: str, _image: Image.Image) -> dict[str, dict[str, float]]:
    loaded = loading.checkpoint()
    with LOCK:
        taps = trace(loaded.model, prepare(_image, loaded.preprocess))
    return {
        path: {half: float(taps[f"{path}.{half}_output"].square().mean().sqrt()) for half in names}
        for path, names in halves(loaded.model).items()
    }


def sizes(picture: images.Picture) -> dict[str, dict[str, float]]:
    """The root mean square of each half's output, by layer, over all pixels, heads and values of a picture."""
    return _sizes(picture.key, loading.network_key(), picture.image)


@st.cache_data(max_entries=256, show_spinner=False)
def _answer(picture_key: str, network: str, off: tuple[tuple[str, str], ...], _image: Image.Image) -> np.ndarray:
    loaded = loading.checkpoint()
    x = prepare(_image, loaded.preprocess)
    with LOCK, torch.no_grad(), switched(loaded.model, grouped(frozenset(off))):
        return loaded.model(x)[0].softmax(0).numpy()


def answer(picture: images.Picture, off: Off = frozenset()) -> np.ndarray:
    """The network's probabilities for a picture with these halves switched off."""
    return _answer(picture.key, loading.network_key(), tuple(sorted(off)), picture.image)


def measured_before() -> dict[str, float] | None:
    """Figures that ship for the network that ships, if they are of these very weights: {"whole": per cent, ...}."""
    file = RESULTS / "halves.json"
    if loading.brought() or not file.is_file():
        return None
    report = json.loads(file.read_text(encoding="utf-8"))
    return report["top1"] if report["weights"] == fingerprint(zoo()[loading.HOME]) else None
