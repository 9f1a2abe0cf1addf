"""What every plotly chart of the explorer shares: a clear ground, one font, quiet lines. No streamlit."""

from collections.abc import Sequence
from typing import Any

from explorer.theme import PALETTE

CLEAR = "rgba(0,0,0,0)"
FONT = "Source Sans, sans-serif"


def chart(scheme: str, height: int, *, title: str = "", traces: Sequence[Any] = (), **layout: Any) -> Any:
    """A figure of so many pixels, `traces` in it. layout: what it has of its own, by plotly's names."""
    import plotly.graph_objects as go  # a third of a second that pages without a chart do without

    ink = PALETTE[scheme]
    common: dict[str, Any] = {
        "height": height, "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR,
        "font": {"family": FONT, "size": 13, "color": ink["ink-soft"]},
    }  # fmt: skip
    if title:
        common["title"] = {"text": title, "font": {"size": 15, "color": ink["ink"]}, "x": 0}
    figure = go.Figure(list(traces), common | layout)
    figure.update_xaxes(gridcolor=ink["line"], zeroline=False)
    figure.update_yaxes(gridcolor=ink["line"], zeroline=False)
    return figure
