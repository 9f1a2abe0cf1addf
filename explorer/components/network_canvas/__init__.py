"""`network_canvas`: a network block by block. Hover a block for what it costs, click it for another layer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from explorer import state, theme
from explorer.components.bundle import bundle

_FOLDER = Path(__file__).parent


def assets() -> dict[str, str]:
    """css and js of the component."""
    return {
        "css": theme.css_theme(".network") + (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("network_canvas", **assets())  # type: ignore[arg-type]


def network_canvas(data: Mapping[str, Any], *, key: str, on_edit_change: Callable[[], Any]) -> Any:
    """Draw a network. data: of `explorer.drawing.picture`, with "answered", the number of the last edit it answers.

    One trigger comes back, "edit": {"number", "stages": the letter of each block, a string a stage}. Hovering and the
    choice of a metric never reach Python; a click is drawn at once, and its numbers follow.
    """
    sent = {**data, "session": state.session()}  # the browser counts the edits, and begins anew in another one
    return _mount(key=key, data=sent, height="content", on_edit_change=on_edit_change)
