"""`heat_maps`: attribution maps side by side on one photograph, on one scale, with one pointer over all of them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from explorer import theme
from explorer.components.bundle import bundle

_FOLDER = Path(__file__).parent
LEVELS = 32767


@dataclass(frozen=True)
class Tile:
    """One map (H, W), or None while it is computed: its title, what it answers, a note, and the hue of its plus."""

    title: str
    question: str
    note: str
    hue: str
    values: np.ndarray | None


def assets() -> dict[str, str]:
    """css and js of the component."""
    return {
        "css": theme.css_theme(".heat-maps") + (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "js": bundle(_FOLDER, "main.js"),
    }


_mount = st.components.v2.component("heat_maps", **assets())  # type: ignore[arg-type]


def packed(tile: Tile) -> dict[str, Any]:
    """A tile as JSON takes it: values in 16 bit, `unit` their step, and the mean of their size."""
    values = np.zeros((1, 1)) if tile.values is None else tile.values
    most = float(np.abs(values).max()) or 1.0
    levels = np.rint(values / most * LEVELS).astype("<i2")
    return {
        "title": tile.title, "question": tile.question, "note": tile.note, "hue": tile.hue,
        "height": values.shape[0], "width": values.shape[1], "unit": most / LEVELS,
        "mean": float(np.abs(values).mean()), "values": base64.b64encode(levels.tobytes()).decode(),
    }  # fmt: skip


def heat_maps(photo: str, title: str, tiles: Sequence[Tile], *, key: str) -> None:
    """Draw the tiles on a photograph (of `loading.jpeg`). Scale, opacity and pointer live in the browser alone."""
    _mount(key=key, data={"photo": photo, "title": title, "tiles": [packed(tile) for tile in tiles]}, height="content")
