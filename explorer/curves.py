"""Curves of a training run, for plotly: the loss of every few steps, and the accuracy after each epoch."""

from collections.abc import Sequence
from typing import Any

from explorer.charts import chart
from explorer.theme import PALETTE

Rows = Sequence[dict[str, float]]


def loss(curve: Rows, log: Rows, steps: int, epochs: int, scheme: str = "light") -> Any:
    """The loss while training and on pictures held out, over epochs."""
    import plotly.graph_objects as go

    at, values = [row["step"] * epochs / max(1, steps) for row in curve], [row["loss"] for row in curve]
    training = go.Scatter(x=at, y=values, mode="lines", name="training", line={"color": PALETTE[scheme]["lambda"]})
    title = "Loss: surprise at the right answer (nats)"
    return _figure([training, _held_out(log, "val_loss", scheme)], title, epochs, scheme)


def accuracy(log: Rows, epochs: int, scheme: str = "light") -> Any:
    """The share of pictures held out that are answered right, over epochs."""
    found = _figure([_held_out(log, "val_top1", scheme)], "Right answers (per cent)", epochs, scheme)
    return found.update_yaxes(range=[0, 101], dtick=25)


def _held_out(log: Rows, name: str, scheme: str) -> Any:
    import plotly.graph_objects as go

    scored = [row for row in log if name in row]
    at, values = [row["epoch"] for row in scored], [row[name] for row in scored]
    return go.Scatter(x=at, y=values, mode="lines+markers", name="held out", line={"color": PALETTE[scheme]["output"]})


def _figure(traces: list[Any], title: str, epochs: int, scheme: str) -> Any:
    found = chart(
        scheme, 300, title=title, traces=traces, margin={"l": 40, "r": 10, "t": 40, "b": 72}, uirevision="run",
        showlegend=True, legend={"orientation": "h", "x": 0, "y": -0.3},
    )  # fmt: skip
    found.update_xaxes(range=[0, epochs], title="epoch", automargin=False)
    return found.update_yaxes(rangemode="tozero", automargin=False)
