"""`scope_canvas`: the window of one lambda layer, drawn and dragged in the browser, beside what autograd measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from explorer import theme
from explorer.components.bundle import bundle
from explorer.components.scope_canvas.pack import pack_scope, unpack_scope

__all__ = ["pack_scope", "scope_canvas", "unpack_scope"]

_FOLDER = Path(__file__).parent


def assets() -> dict[str, str]:
    """css and js of the component; type, controls and plates are those of `lambda_canvas`."""
    styles = (_FOLDER.parent / "lambda_canvas" / "style.css", _FOLDER / "style.css")
    return {
        "css": theme.css_theme(".lambda-canvas") + "".join(path.read_text(encoding="utf-8") for path in styles),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("scope_canvas", **assets())  # type: ignore[arg-type]


def scope_canvas(packed: bytes, *, key: str, on_selection_change: Callable[[], Any]) -> Any:
    """Show a layer and what was measured of it (`pack_scope`).

    facts: row, column, head, scope and part that were measured; overlay, what lies on the photo; answers, [name,
    trained, this layer cropped, all cropped] of the likeliest classes; knows, what the network knows, in words. The
    result has `selection` (row, column, head, scope, part, overlay) and `tasks`; both are None until the visitor
    commits to something: lets go of the window, chooses a pixel. Dragging and hovering never reach Python.
    """
    return _mount(
        key=key, data=packed, height="content", on_selection_change=on_selection_change, on_tasks_change=lambda: None
    )
