"""The canvas on a page: what it is sent, and what it says back."""

from dataclasses import asdict, replace

import streamlit as st

from explorer import images, loading, state
from explorer.components.lambda_canvas import lambda_canvas, pack_trace
from explorer.components.lambda_canvas.pack import AXES
from explorer.loading import Traced
from explorer.state import Selection

PHOTO_SIDE = 512
NAMES = ("row", "column", "head", "key", "value", "step", "cell")


def fitted(selection: Selection, traced: Traced) -> Selection:
    """The selection moved into the layer's bounds, with a note for what had to move."""
    layer = traced.layer
    limits = {
        "row": layer["height"], "column": layer["width"], "head": layer["heads"],
        "key": layer["dim_k"], "value": layer["dim_v"], "step": state.LAST_STEP + 1,
    }  # fmt: skip
    fits, notes = state.clamp(selection, limits)
    state.note(notes)
    state.choose(fits)
    return fits


def show(picture: images.Picture, traced: Traced, *, key: str, mode: str = "steps") -> None:
    """Draw the canvas. What the visitor commits to there becomes the session's selection before the next run."""
    version, selection = state.pushed()
    packed = _packed(picture, traced, version, selection, mode)
    result = lambda_canvas(packed, key=key, on_selection_change=lambda: _follow(key))
    done = st.session_state.setdefault("tasks_done", set())
    done.update(result.tasks or ())


def _packed(picture: images.Picture, traced: Traced, version: int, selection: Selection, mode: str) -> bytes:
    photo = {"title": picture.title, "jpeg": loading.jpeg(picture, PHOTO_SIDE)}
    chosen = {name: value for name, value in asdict(selection).items() if name in NAMES}
    pinned = (selection.row, selection.column) != (Selection.row, Selection.column)
    chosen |= {"cell": selection.cell or None, "pinned": pinned, "version": version}
    tensors = {name: tensor for name, tensor in traced.tensors.items() if name in AXES and tensor.ndim == AXES[name]}
    return pack_trace(tensors, traced.layer, photo, chosen, mode)


def _follow(key: str) -> None:
    said = st.session_state[key].get("selection") or {}
    known = {name: said[name] for name in NAMES if name in said}
    known["cell"] = known.get("cell") or ""
    state.choose(replace(state.current(), **known), from_canvas=True)
