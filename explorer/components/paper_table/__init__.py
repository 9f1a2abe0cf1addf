"""`paper_table`: a table of the paper whose numbers open their derivation and whose rows are presets."""

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
        "css": theme.css_theme(".paper-table") + (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("paper_table", **assets())  # type: ignore[arg-type]


def paper_table(
    data: Mapping[str, Any], *, key: str, on_open_change: Callable[[], Any], on_load_change: Callable[[], Any]
) -> Any:
    """Draw a table. data: title, columns [[metric, label, whether a formula gives it]], rows, and the open number.

    A row is {"row", "preset": whether it is a network, "cells": [{"metric", "published", "here", "verdict"}]}. Two
    triggers come back: "open" {"row", "metric"} and "load" {"row"}.
    """
    return _mount(
        key=key, data=dict(data), height="content", on_open_change=on_open_change, on_load_change=on_load_change
    )
