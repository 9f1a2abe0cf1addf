"""`lambda_canvas`: steps through one lambda layer on one photo, computed and drawn in the browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from explorer import theme
from explorer.components.bundle import bundle
from explorer.components.lambda_canvas.pack import pack_trace, unpack_trace

__all__ = ["lambda_canvas", "pack_trace", "unpack_trace"]

_FOLDER = Path(__file__).parent


def assets() -> dict[str, str]:
    """css and js of the component."""
    return {
        "css": theme.css_theme(".lambda-canvas") + (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("lambda_canvas", **assets())  # type: ignore[arg-type]


def lambda_canvas(trace: bytes, *, key: str, on_selection_change: Callable[[], Any]) -> Any:
    """Show a packed trace. The result has `selection` (row, column, head, key, value, step, cell, pinned) and `tasks`.

    trace: see `pack_trace`; its mode is "steps" for the whole page, "overview" for the picture alone. Both are None
    until the visitor commits to something: a click, a key, a step; hovering never reaches Python.
    """
    return _mount(
        key=key, data=trace, height="content", on_selection_change=on_selection_change, on_tasks_change=lambda: None
    )
