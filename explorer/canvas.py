"""The canvas on a page: what it is sent, and what it says back."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

import streamlit as st

from explorer import images, loading, state, tour
from explorer.components.lambda_canvas import lambda_canvas, pack_trace
from explorer.components.lambda_canvas.pack import AXES
from explorer.loading import Traced
from explorer.state import Selection

PHOTO_SIDE = 512
NAMES = ("row", "column", "head", "key", "value", "step", "cell")
OPENED = "canvas_step_opened"
TENSORS = tuple(name for name in AXES if name not in ("content_output", "position_output"))  # what the steps need


def fitted(selection: Selection, traced: Traced) -> Selection:
    """The selection moved into the layer's bounds, with a note for what had to move of a link."""
    selection = state.fit_pixel(selection, traced.layer["height"], traced.layer["width"])
    fits, notes = state.clamp(selection, limits(traced.layer), cells(traced.layer))
    state.note(notes)
    state.choose(fits)
    return fits


def limits(layer: Mapping[str, Any]) -> dict[str, int]:
    """How many there are of what a selection counts in a layer."""
    return {
        "row": layer["height"], "column": layer["width"], "head": layer["heads"],
        "key": layer["dim_k"], "value": layer["dim_v"], "step": state.LAST_STEP + 1,
    }  # fmt: skip


def cells(layer: Mapping[str, Any]) -> list[str]:
    """The matrices of a layer whose cells can be opened: there is nothing in that of a half it was built without."""
    absent = [f"{half}_lambda" for half in ("content", "position") if not layer[half]]
    return [name for name in state.CELLS if name not in absent]


def show(picture: images.Picture, traced: Traced, *, key: str, mode: str = "steps") -> None:
    """Draw the canvas. What the visitor commits to there becomes the session's selection before the next run.

    mode: "steps", or "overview", where a step that was clicked opens on the page of steps.
    """
    if st.session_state.pop(OPENED, False):
        st.switch_page("../pages/lambda_layer.py")
    version, selection = state.pushed()
    sent = packed(picture, traced, version, selection, mode=mode)
    result = lambda_canvas(sent, key=key, on_selection_change=lambda: follow(key, mode))
    tour.done().update(result.tasks or ())
    for name in ("overview", "attention"):
        tour.allow(name, traced.layer["content"] and traced.layer["position"])


def packed(
    picture: images.Picture, traced: Traced, version: int, selection: Selection, *, mode: str = "steps",
    names: Collection[str] = TENSORS,
) -> bytes:  # fmt: skip
    """What a canvas is sent: the tensors of `names` that the layer has, the photo, and the selection."""
    photo = {"title": picture.title, "jpeg": loading.seen(picture, PHOTO_SIDE, traced.preprocess)}
    chosen = {name: value for name, value in asdict(selection).items() if name in NAMES}
    chosen |= {"cell": selection.cell or None, "pinned": selection.pinned, "version": version}
    tensors = {name: tensor for name, tensor in traced.tensors.items() if name in names and tensor.ndim == AXES[name]}
    return pack_trace(tensors, traced.layer, photo, chosen, mode)


def follow(key: str, mode: str = "steps") -> None:
    """Make what the canvas `key` reports the session's selection."""
    said = st.session_state[key].get("selection") or {}
    known = {name: said[name] for name in NAMES if name in said}
    if "cell" in known:
        known["cell"] = known["cell"] or ""
    found = state.moved(state.current(), **known)
    if "pinned" in said:
        found = replace(found, pinned=bool(said["pinned"]))
    st.session_state[OPENED] = mode == "overview" and found.step > 0
    state.choose(found, from_canvas=True)
