"""`camera`: the visitor's camera, scaled down in the browser, one frame at a time on its way to Python."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from explorer import theme
from explorer.components.bundle import bundle

_FOLDER = Path(__file__).parent


def assets() -> dict[str, str]:
    """css and js of the component."""
    return {
        "css": theme.css_theme(".camera") + (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("camera", **assets())  # type: ignore[arg-type]


def camera(
    data: Mapping[str, Any],
    *,
    key: str,
    on_frame_change: Callable[[], Any],
    on_status_change: Callable[[], Any],
) -> Any:
    """Show a picture, or the camera once the visitor has started it, and below it what Python said last.

    data: {"side": what the network takes, in px, "wish": a string that changes when Python wants a frozen frame again,
    "still": {"jpeg", "title", "key"} or None for the one sent before, "answer": of `explorer.live.answer`, with the
    "number" of the frame it is for, 0 for the still}.

    Two triggers come back. "frame": {"number", "jpeg" (base64, none for the still), "row", "column", "freeze"}; the
    next one comes only after an answer with this number. "status": "live", "still", "denied", "absent", "busy" or
    "insecure".
    """
    return _mount(
        key=key,
        data=dict(data),
        height="content",
        on_frame_change=on_frame_change,
        on_status_change=on_status_change,
    )
