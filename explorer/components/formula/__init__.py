"""`formula`: equations, tensors and code whose index letters light up together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from explorer import theme
from explorer.components.bundle import bundle

_FOLDER = Path(__file__).parent


def assets() -> dict[str, str]:
    """css and js of the component."""
    return {
        "css": theme.css_theme(".formula-code") + (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("formula", **assets())  # type: ignore[arg-type]


def formula(data: Mapping[str, Any], *, key: str) -> Any:
    """Show equations, closed until opened. Nothing comes back: hovering and opening never reach Python.

    data: "open" (the equation to begin with), "letters", "meaning" and "sizes" (or None) of each letter, and
    "equations" by name, see `explorer.formula`.
    """
    return _mount(key=key, data=dict(data), height="content")
