"""How a lambda network learns beside its twin of convolutions: held-out loss and accuracy, epoch by epoch."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from explorer import ablated, theme
from explorer.ablated import Network
from explorer.charts import chart
from explorer.theme import PALETTE

PAIRS = (("lambda_resnet_small", "resnet_small"), ("micro_ccll", "micro_cccc"))  # lambda layers, convolutions
PANELS = {"val_loss": "Loss on held-out pictures (nats)", "val_top1": "Right answers (top-1, per cent)"}


def figure(pair: Sequence[Network], metric: str, scheme: str = "light") -> Any:
    """A line a run, so that seeds show how far a difference can be trusted. metric: of PANELS."""
    ink = PALETTE[scheme]
    found = chart(
        scheme, 300, title=PANELS[metric], margin={"l": 48, "r": 10, "t": 40, "b": 76}, hovermode="x",
        # At the foot of the figure, whatever the plot leaves of its height: the axis has its title in between.
        legend={"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
    )  # fmt: skip
    styles = (("lambda layers", ink["lambda"], "solid"), ("convolutions", ink["ink-soft"], "dot"))
    for network, (name, colour, dash) in zip(pair, styles, strict=True):
        for number, run in enumerate(network["runs"]):
            rows = [row for row in run["history"] if metric in row]
            found.add_scatter(
                x=[row["epoch"] for row in rows], y=[row[metric] for row in rows], mode="lines", name=name,
                legendgroup=name, showlegend=number == 0, line={"color": colour, "dash": dash},
            )  # fmt: skip
    return found.update_xaxes(title="epoch", title_standoff=4, automargin=False)


def show() -> None:
    """Two figures for each pair that was trained, or a sentence where none was."""
    scheme = theme.scheme()
    known = ablated.networks()
    there = [pair for pair in PAIRS if all(name in known and known[name]["runs"] for name in pair)]
    for ours, twin in there:
        first, second = known[ours], known[twin]
        st.markdown(
            f"**`{ours}`** ({first['parameters'] / 1e6:.2f} M parameters): {ablated.accuracy(first)}. "
            f"**`{twin}`** ({second['parameters'] / 1e6:.2f} M): {ablated.accuracy(second)}."
        )
        for metric, column in zip(PANELS, st.columns(len(PANELS), gap="large"), strict=True):
            chart = figure([first, second], metric, scheme)
            column.plotly_chart(chart, key=f"twins_{ours}_{metric}", theme=None, config={"displayModeBar": False})
    if there:
        st.caption(
            "Both of a pair were trained by one recipe, on Imagenette; a line is a run, from one seed. By the 3,925 "
            "photographs alone the final difference of a pair is known to ± 0.6 (one standard error), and two seeds "
            "differ too: one pair does not settle which is better. The page Predictions opens them."
        )
    else:
        st.markdown(ablated.missing(PAIRS[-1]))
