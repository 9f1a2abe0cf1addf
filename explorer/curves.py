"""Curves of a training run, for plotly: the loss of every few steps, and the accuracy after each epoch."""

from collections.abc import Sequence
from typing import Any

from explorer.theme import PALETTE

Rows = Sequence[dict[str, float]]


def figure(curve: Rows, log: Rows, steps: int, epochs: int, scheme: str = "light") -> Any:
    """Two panels on one time axis, counted in epochs."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    ink = PALETTE[scheme]
    an_epoch = max(1.0, steps / epochs)
    found = make_subplots(
        rows=1, cols=2, horizontal_spacing=0.1,
        subplot_titles=("Loss: surprise at the right answer (nats)", "Right answers, pictures held out (per cent)"),
    )  # fmt: skip
    at, loss = [row["step"] / an_epoch for row in curve], [row["loss"] for row in curve]
    found.add_trace(go.Scatter(x=at, y=loss, mode="lines", name="training", line={"color": ink["lambda"]}), 1, 1)
    scored = [row for row in log if "val_top1" in row]
    at = [row["epoch"] for row in scored]
    style: dict[str, Any] = {"mode": "lines+markers", "line": {"color": ink["output"]}}
    found.add_trace(go.Scatter(x=at, y=[row["val_loss"] for row in scored], name="held out", **style), 1, 1)
    found.add_trace(
        go.Scatter(x=at, y=[row["val_top1"] for row in scored], name="top-1", showlegend=False, **style), 1, 2
    )
    found.update_xaxes(range=[0, epochs], title="epoch", gridcolor=ink["line"], zeroline=False, automargin=False)
    found.update_yaxes(gridcolor=ink["line"], zeroline=False, rangemode="tozero", automargin=False)
    found.update_yaxes(range=[0, 101], dtick=25, row=1, col=2)
    found.update_layout(
        height=300, margin={"l": 40, "r": 10, "t": 40, "b": 72}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", font={"color": ink["ink-soft"]}, uirevision="run",
        showlegend=True, legend={"orientation": "h", "x": 0, "y": -0.3},
    )  # fmt: skip
    return found
