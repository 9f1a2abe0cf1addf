"""The legend of both charts of the memory page: each name shows or hides its curve, and all of them are in sight."""

from collections.abc import Iterable

import streamlit as st

from explorer.budget import KINDS, SHOWN
from explorer.memory_charts import STROKES, STYLES
from explorer.theme import PALETTE

CURVES = "memory_curves"
CHOICE = f"{CURVES}_choice"
# A name with a piece of its curve before it, and no frame: as in any legend, it is paler when its curve is hidden.
STYLE = """
.st-key-memory_curves [role=toolbar] { gap: 0 18px; flex-wrap: wrap }
.st-key-memory_curves button { border-color: transparent !important; border-radius: 6px; background: none !important; padding: 3px 6px; margin-left: -6px; min-height: 30px; color: VAR_ink !important; cursor: pointer }
.st-key-memory_curves button:hover { background: VAR_wash !important }
.st-key-memory_curves button[aria-pressed=false] { color: VAR_ink-faint !important }
.st-key-memory_curves button::before { content: ""; flex: none; width: 40px; height: 8px; margin-right: 8px; background: center / 40px 8px no-repeat }
.st-key-memory_curves button[aria-pressed=false]::before { opacity: 0.5 }
.st-key-memory_curves button p { font-size: 14px }
"""  # noqa: E501


def shown() -> list[str]:
    """The kinds whose curves are shown, in the order of the legend."""
    return st.session_state.setdefault(CURVES, list(SHOWN))


def reveal(kinds: Iterable[str]) -> None:
    """Show the curves of some kinds too: a dot needs the curve that it lies on."""
    wanted = {*shown(), *kinds}
    st.session_state[CURVES] = [kind for kind in KINDS if kind in wanted]


def show(scheme: str) -> None:
    st.html(f"<style>{_style(scheme)}</style>")
    with st.container(key=CURVES):
        st.session_state[CHOICE] = shown()
        st.pills("Curves", list(KINDS), selection_mode="multi", format_func=KINDS.__getitem__, key=CHOICE,
                 on_change=_choose)  # fmt: skip


def _choose() -> None:
    st.session_state[CURVES] = []
    reveal(st.session_state[CHOICE])


def _style(scheme: str) -> str:
    ink = PALETTE[scheme]
    rules = STYLE
    for name, colour in ink.items():
        rules = rules.replace(f"VAR_{name} ", f"{colour} ")
    pieces = (
        f'.st-key-memory_curves button:nth-child({number})::before {{ background-image: url("{_piece(kind, ink)}") }}'
        for number, kind in enumerate(KINDS, start=1)
    )
    return rules + "\n".join(pieces)


def _piece(kind: str, ink: dict[str, str]) -> str:
    """40 px of a curve, dashed as plotly dashes it, as the address of a picture."""
    hue, width, dash = STYLES[kind]
    strokes = " ".join(f"{max(width, 3) * length:g}" for length in STROKES[dash])
    return (
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='40' height='8'%3E"
        f"%3Cpath d='M0 4H40' stroke='%23{ink[hue][1:]}' stroke-width='{width}' "
        f"stroke-dasharray='{strokes}'/%3E%3C/svg%3E"
    )
