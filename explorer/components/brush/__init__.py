"""`brush`: paint over a photograph; what is painted is covered, and the network answers beside it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from explorer import state, theme
from explorer.components.bundle import bundle

_FOLDER = Path(__file__).parent
GRID = 64  # cells of the mask along a side


def assets() -> dict[str, str]:
    """css and js of the component."""
    return {
        "css": theme.css_theme(".brush") + (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("brush", **assets())  # type: ignore[arg-type]


def to_text(mask: np.ndarray) -> str:
    """A mask (GRID, GRID) of bool as hexadecimal digits, row by row."""
    return np.packbits(mask).tobytes().hex()


def from_text(text: Any) -> np.ndarray:
    """The mask behind such digits; an empty one for anything else, since a browser may send what it likes."""
    try:
        return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).reshape(GRID, GRID).astype(bool)
    except (TypeError, ValueError):
        return np.zeros((GRID, GRID), bool)


def brush(data: Mapping[str, Any], *, key: str, on_mask_change: Callable[[], Any]) -> Any:
    """The result has `mask`: {digits, for `from_text`; version; stroke}, sent when the visitor lifts the brush.

    data: photo (of `loading.jpeg`), fill (base64 JPEG: what shows where it is covered), mask (digits) with a `version`
    that moves when Python changed it and comes back with a stroke, and answer: {title, before, after,
    rows: [[class, share before, after], ...]}.
    """
    sent = {**data, "session": state.session()}  # another one counts its versions from the first
    return _mount(key=key, data=sent, height="content", on_mask_change=on_mask_change)
