"""Colours of cells that hold numbers: from the plate to the hue of an answer, and the ink of the number on each.

On some colours between the two, neither a light nor a dark letter can be read. No cell has one of them: the scale jumps
over that gap, so larger shares still look larger. No streamlit.
"""

from functools import lru_cache
from typing import Any

from explorer.theme import PALETTE

INKS = ("ink", "page")
READABLE = 4.8  # the contrast that letters have at least
STEPS = 500  # in which the way is searched for the gap


def _light(red: float, green: float, blue: float) -> float:
    """Relative luminance of sRGB in 0..255, as WCAG has it."""
    linear = [c / 3294.6 if c <= 10.31 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(name: str, scheme: str) -> list[float]:
    return [int(PALETTE[scheme][name][i : i + 2], 16) for i in (1, 3, 5)]


def _mixed(way: float, scheme: str) -> list[float]:
    """The colour so far on the way from the plate to that of an answer."""
    return [a + way * (b - a) for a, b in zip(_rgb("zero", scheme), _rgb("output", scheme), strict=True)]


def contrast(ink: str, way: float, scheme: str) -> float:
    """Of letters in one of the inks on that colour, as WCAG has it."""
    one, other = _light(*_rgb(ink, scheme)) + 0.05, _light(*_mixed(way, scheme)) + 0.05
    return max(one / other, other / one)


@lru_cache(maxsize=2)
def gap(scheme: str) -> tuple[float, float]:
    """The part of the way on which neither ink can be read, so that no cell may have its colours; (1, 1) for none."""
    dull = [i / STEPS for i in range(STEPS + 1) if max(contrast(ink, i / STEPS, scheme) for ink in INKS) < READABLE]
    return (dull[0] - 1 / STEPS, dull[-1] + 1 / STEPS) if dull else (1.0, 1.0)


def jump(scheme: str) -> float:
    """The share at which the colours leave out the gap; on both sides of it they change alike."""
    start, end = gap(scheme)
    return start / (1 - end + start)


def way(share: float, scheme: str) -> float:
    """How far on the way the colour of a share lies."""
    start, end = gap(scheme)
    return share * (1 - end + start) + (end - start) * (share >= jump(scheme))


def letters(share: float, scheme: str) -> str:
    """The ink that reads best on the colour of a share: "ink" or "page"."""
    return max(INKS, key=lambda ink: contrast(ink, way(share, scheme), scheme))


def scale(scheme: str) -> list[list[Any]]:
    """The colours of all shares, for plotly."""
    colours = {at: f"rgb({','.join(f'{c:.0f}' for c in _mixed(at, scheme))})" for at in (0.0, *gap(scheme), 1.0)}
    start, end = gap(scheme)
    return [[0, colours[0.0]], [jump(scheme), colours[start]], [jump(scheme), colours[end]], [1, colours[1.0]]]
