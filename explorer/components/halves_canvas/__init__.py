"""`halves_canvas`: the content and the position half of one lambda layer side by side, computed in the browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from explorer import theme
from explorer.components.bundle import bundle

_FOLDER = Path(__file__).parent


def assets() -> dict[str, str]:
    """css and js of the component; type, controls and plates are those of `lambda_canvas`."""
    styles = (_FOLDER.parent / "lambda_canvas" / "style.css", _FOLDER / "style.css")
    return {
        "css": theme.css_theme(".lambda-canvas") + "".join(path.read_text(encoding="utf-8") for path in styles),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("halves_canvas", **assets())  # type: ignore[arg-type]


def halves_canvas(trace: bytes, *, key: str, on_selection_change: Callable[[], Any]) -> Any:
    """Show a packed trace (`lambda_canvas.pack_trace`, with content_output and position_output where there are such).

    The result has `selection` (row, column, head) and `tasks`; both are None until the visitor commits to something:
    lets go of the pixel, presses a key. Dragging never reaches Python.
    """
    return _mount(
        key=key, data=trace, height="content", on_selection_change=on_selection_change, on_tasks_change=lambda: None
    )
