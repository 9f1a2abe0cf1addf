"""The numbers of the scope page: footprints by autograd, and what a cropped E does to layer and answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import streamlit as st
import torch
from PIL import Image

from explorer import canvas, images, loading, state, tour, words
from explorer.components.scope_canvas import pack_scope, scope_canvas
from explorer.loading import LOCK, Traced
from explorer.state import Selection
from lambda_core import LambdaLayer, trace
from lambda_core.data import prepare
from lambda_core.footprint import footprints, implied_weights
from lambda_core.surgery import cropped_scope

CANVAS, PART, OVERLAY = "scope", "scope_part", "scope_overlay"
CHOICES = {  # by where the session keeps them: the name in the address, and what there is, the usual one first
    PART: ("part", ("position", "both")),
    OVERLAY: ("overlay", ("layer", "image", "weights", "change", "photo")),
}
UNCROPPED = 2**31 - 1  # an odd scope beyond every table
NEEDED = ("q", "k", "keys", "v", "content_lambda", "embeddings", "position_bias")  # by the canvas, which asks often
SHOWN = 3  # classes, the likeliest; others join when a crop makes them the first


@dataclass(frozen=True)
class Measured:
    """Of one pixel under one scope: weights (h, H, W), layer (H, W), image (H', W') and change (H, W).

    change: how far each output of the layer moves, as a share of its length, with its own E cropped. answers: [class,
    probability as trained, with this layer cropped, with every lambda layer cropped].
    """

    tensors: dict[str, np.ndarray]
    answers: list[tuple[str, float, float, float]]


def scopes(layer: dict[str, Any]) -> tuple[int, int]:
    """(own, largest) r of a layer on its map; own is 0 without a position part."""
    largest = 2 * max(layer["height"], layer["width"]) - 1
    return min(max(layer["table"]), largest) if layer["position"] else 0, largest


def fitted(selection: Selection, traced: Traced) -> Selection:
    """The selection with a scope that the layer can be drawn with, and a note where the link's could not be."""
    own, largest = scopes(traced.layer)
    r = selection.scope
    nearest = max(min(3, largest), min(largest, r - 1 + r % 2)) if own and r else 0
    if nearest == r:
        return selection
    if own:
        state.note([f"The link asks for a scope of {r}; here r is odd, from 3 to {largest}, so {nearest} is shown."])
    fits = replace(selection, scope=nearest)
    state.choose(fits)
    return fits


def measured(picture: images.Picture, traced: Traced, selection: Selection, part: str) -> Measured:
    """What autograd says of the selected pixel and head, and passes with E cropped. part: see `footprints`."""
    n = selection.row * traced.layer["width"] + selection.column
    key = (picture.key, loading.network_key(), selection.layer)
    maps = _reached(key, n, selection.head, selection.scope, part, traced, picture.image)
    change, answers = _cropped(key, selection.scope, traced, picture.image)
    return Measured({**maps, "change": change}, answers)


@st.cache_data(max_entries=64, show_spinner=False)
def _reached(
    key: tuple[str, str, str], n: int, head: int, scope: int, part: str, _traced: Traced, _image: Image.Image
) -> dict[str, np.ndarray]:
    loaded, path = loading.checkpoint(), key[2]
    layer = cast(LambdaLayer, loaded.model.get_submodule(path))
    with LOCK, cropped_scope(layer, scope or UNCROPPED):
        maps = footprints(loaded.model, prepare(_image, loaded.preprocess), path, n, head, part)
        weights = implied_weights(layer, torch.from_numpy(_traced.tensors["input"])[None], n)
    return {name: tensor.numpy() for name, tensor in {"weights": weights, **maps}.items()}


@st.cache_data(max_entries=32, show_spinner=False)
def _cropped(
    key: tuple[str, str, str], scope: int, _traced: Traced, _image: Image.Image
) -> tuple[np.ndarray, list[tuple[str, float, float, float]]]:
    """Apart from the footprints: it is the same for every pixel."""
    loaded, path = loading.checkpoint(), key[2]
    x, whole = prepare(_image, loaded.preprocess), torch.from_numpy(_traced.tensors["output"])
    with LOCK, torch.no_grad():
        with cropped_scope(loaded.model.get_submodule(path), scope or UNCROPPED):
            taps = trace(loaded.model, x)
        with cropped_scope(loaded.model, scope or UNCROPPED) as smaller:
            everywhere = loaded.model(x) if smaller else taps["output"]
    change = (taps[f"{path}.output"][0] - whole).norm(dim=0) / whole.norm(dim=0).clamp_min(1e-12)
    columns = (_traced.probabilities, _probabilities(taps["output"]), _probabilities(everywhere))
    return change.numpy(), _answers(loaded.classes, *columns)


def _probabilities(logits: torch.Tensor) -> np.ndarray:
    return logits[0].softmax(0).numpy()


def _answers(names: Sequence[str], *columns: np.ndarray) -> list[tuple[str, float, float, float]]:
    """The classes likeliest as trained, and those that a crop makes the likeliest."""
    chosen = [*np.argsort(-columns[0])[:SHOWN], *(column.argmax() for column in columns[1:])]
    before, here, everywhere = columns
    return [
        (words.class_name(names, i), float(before[i]), float(here[i]), float(everywhere[i]))
        for i in dict.fromkeys(map(int, chosen))
    ]


def part_shown(traced: Traced) -> str:
    """Which half is differentiated: "position" or "both"."""
    return _choice(PART) if traced.layer["position"] else "both"


def _choice(key: str) -> str:
    """What was chosen of CHOICES."""
    _, known = CHOICES[key]
    return st.session_state.get(key, known[0])


def _arrive() -> None:
    """Choose what a link names."""
    if not state.opened():
        return
    for key, (name, known) in CHOICES.items():
        wanted = st.query_params.get(name)
        if wanted in known:
            st.session_state[key] = wanted
        elif wanted:
            state.note([f"The link's “{name}” must be one of {', '.join(known)}, so it was left out."])


def _write_url() -> None:
    for key, (name, known) in CHOICES.items():
        choice = _choice(key)
        state.put(name, "" if choice == known[0] else choice)


def show(picture: images.Picture, traced: Traced, selection: Selection) -> Measured:
    """Draw the canvas with what was measured; what the visitor commits to there is measured in the next run."""
    own, _ = scopes(traced.layer)
    _arrive()
    _write_url()
    part = part_shown(traced)
    found = measured(picture, traced, selection, part)
    version, pushed = state.pushed()
    facts = {
        "row": selection.row, "column": selection.column, "head": selection.head, "part": part,
        "scope": selection.scope or own, "overlay": _choice(OVERLAY), "answers": found.answers,
        "knows": words.knows(loading.checkpoint().classes),
    }  # fmt: skip
    packed = pack_scope(canvas.packed(picture, traced, version, pushed, names=NEEDED), found.tensors, facts)
    result = scope_canvas(packed, key=CANVAS, on_selection_change=_follow)
    tour.done().update(result.tasks or ())
    tour.allow("scope-crop", own > 3)  # as the canvas has it
    return found


def _follow() -> None:
    said = st.session_state[CANVAS].get("selection") or {}
    known: dict[str, Any] = {name: int(said[name]) for name in ("row", "column", "head", "scope") if name in said}
    for key, (name, options) in CHOICES.items():
        if said.get(name) in options:
            st.session_state[key] = said[name]
    state.choose(state.moved(state.current(), **known), from_canvas=True)


def twins(selection: Selection, traced: Traced, found: Measured) -> None:
    """Row, column, head and scope as Streamlit widgets, in a form as in `controls.twins`, and the numbers as text."""
    own, largest = scopes(traced.layer)
    limits = {"row": traced.layer["height"], "column": traced.layer["width"], "head": traced.layer["heads"]}
    limits = {name: count for name, count in limits.items() if count > 1}
    with st.expander("Pixel and scope"), st.form("scope_twins", border=False):
        for name, count in limits.items():
            st.session_state[f"scope_twin_{name}"] = getattr(selection, name) + 1
            st.slider(name.capitalize(), 1, count, key=f"scope_twin_{name}")
        if own and largest > 3:
            st.session_state["scope_twin_scope"] = selection.scope or own
            odd = sorted({*range(3, largest + 1, 2), own})
            st.select_slider("Scope r", odd, key="scope_twin_scope")
        st.form_submit_button("Show", on_click=_apply, args=(tuple(limits), own), width="stretch")
        st.caption(_said(found))


def _apply(names: tuple[str, ...], own: int) -> None:
    chosen: dict[str, Any] = {name: st.session_state[f"scope_twin_{name}"] - 1 for name in names}
    r = st.session_state.get("scope_twin_scope", own)
    state.choose(state.moved(state.current(), scope=0 if r == own else r, **chosen))


def _said(found: Measured) -> str:
    reached, change = found.tensors["layer"] > 0, found.tensors["change"]
    name, before, here, _ = found.answers[0]
    name = words.escaped(name)
    return (
        f"The footprint covers {reached.sum():,} of {reached.size:,} positions. The layer's outputs move by "
        f"{100 * change.mean():.1f} % on average; “{name}” goes from {100 * before:.1f} % to {100 * here:.1f} %."
    )
