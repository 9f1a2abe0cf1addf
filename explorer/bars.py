"""Small bar charts as HTML, in the explorer's colours (assets/halves.css lays them out)."""

from collections.abc import Mapping, Sequence
from html import escape

from explorer.theme import PALETTE


def _pair(rows: Sequence[tuple[float, str, str]], ink: Mapping[str, str]) -> str:
    """Bars below each other: (share of the full width, number as text, colour)."""
    return "".join(
        f'<i style="width:{100 * min(1.0, share):.1f}%;background:{ink[hue]}"></i>'
        f'<span style="color:{ink["ink-soft"]}">{escape(text)}</span>'
        for share, text, hue in rows
    )


def sized(size: float, digits: int = 1) -> str:
    """A size with so many decimals, or with two figures where these would leave hardly anything: 7.7, 0.0046."""
    return f"{size:.{digits}f}" if not size or size >= 10**-digits else f"{size:#.2g}"


def size_bars(sizes: Mapping[str, float], most: float, scheme: str = "light") -> str:
    """A bar for each half of one layer, `most` being the full width."""
    rows = [(size / (most or 1), sized(size), half) for half, size in sizes.items()]
    return f'<div class="bars"><div class="pair">{_pair(rows, PALETTE[scheme])}</div></div>'


def percent(share: float) -> str:
    """A share as per cent, with one decimal below ten."""
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def answer_bars(rows: Sequence[tuple[str, float, float]], scheme: str = "light") -> str:
    """(class, share of the whole network, share with switches) as two bars a class: grey before, violet after."""
    ink = PALETTE[scheme]
    parts = [
        f'<div class="name">{escape(name)}</div><div class="pair">'
        f"{_pair([(before, percent(before), 'line-strong'), (after, percent(after), 'lambda')], ink)}</div>"
        for name, before, after in rows
    ]
    return f'<div class="bars answers">{"".join(parts)}</div>'
