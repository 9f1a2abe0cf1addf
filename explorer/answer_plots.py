"""Confusion matrix and reliability diagram, for plotly. No streamlit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explorer import cells
from explorer.charts import chart
from explorer.theme import PALETTE

MOST_LISTED = 20
MARGIN = {"l": 8, "r": 28, "t": 14, "b": 8}  # room for half of "100 %" beyond either axis


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str], scheme: str) -> Any:
    """A row a class, a column an answer. The scale ends at the largest mistake, so that mistakes can be seen."""
    ink, table = PALETTE[scheme], np.array(counts)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    wrong = shares - np.diag(np.diag(shares))
    limit = max(float(wrong.max()), 0.05)
    said = [
        [f"{count:,} of {row.sum():,} {label}<br>answered: {answer}" for count, answer in zip(row, names, strict=True)]
        for row, label in zip(table, names, strict=True)
    ]
    shown = np.minimum(shares, limit)
    inks = np.array([[cells.letters(share / limit, scheme) for share in row] for row in shown])
    figure = chart(scheme, 150 + 34 * len(names), margin=MARGIN, showlegend=False)
    for number, name in enumerate(np.unique(inks)):  # a heat map has one colour for all its letters
        mine = inks == name
        figure.add_heatmap(
            z=np.where(mine, shown, np.nan), x=list(names), y=list(names), zmin=0, zmax=limit, xgap=1, ygap=1,
            colorscale=cells.scale(scheme), customdata=said, hoverongaps=False,
            hovertemplate="%{customdata}<extra></extra>", showscale=number == 0, textfont={"color": ink[name]},
            text=np.where(mine & (table > 0), table.astype(str), ""), texttemplate="%{text}",
            colorbar={
                "thickness": 10, "outlinewidth": 0, "orientation": "h", "len": 0.4, "tickangle": 0,
                "tickvals": [0, limit], "ticktext": ["0", f"{100 * limit:.0f} % or more"],
                "x": 0, "xanchor": "left", "y": 1.01, "yanchor": "bottom",
            },
        )  # fmt: skip
    axis = {"type": "category", "showgrid": False, "automargin": True}  # plotly takes "3" for a number
    figure.update_yaxes(autorange="reversed", **axis)
    figure.update_xaxes(tickangle=-45 if max(map(len, names)) > 2 else 0, **axis)  # digits fit upright
    return figure


def most_confused(counts: Sequence[Sequence[int]], names: Sequence[str]) -> list[dict[str, Any]]:
    """The commonest mistakes, for networks of so many classes that a matrix cannot be read."""
    table = np.array(counts)
    wrong = table - np.diag(np.diag(table))
    places = [divmod(int(i), len(names)) for i in np.argsort(-wrong, axis=None)[:MOST_LISTED]]
    return [
        {"Class": names[i], "Taken for": names[j], "Photographs": int(wrong[i, j]), "of": int(table[i].sum())}
        for i, j in places
        if wrong[i, j]
    ]


def reliability(found: Mapping[str, Any], scheme: str) -> Any:
    """Share of right answers by certainty, beside the line of a network that is as often right as it says."""
    ink, bins = PALETTE[scheme], len(found["count"])
    centres = [(i + 0.5) / bins for i in range(bins)]
    most = max(found["count"])
    figure = chart(scheme, 340, margin=MARGIN, showlegend=False)
    figure.add_bar(
        x=centres, y=found["accuracy"], width=0.92 / bins, customdata=found["count"],
        # a bin of few pictures says little, so it is drawn faint
        marker={"color": ink["output"], "opacity": [0.35 + 0.65 * (count / most) ** 0.5 for count in found["count"]],
                "line": {"width": 0}},
        hovertemplate="%{y:.0%} right of %{customdata:,}<br>that it was %{x:.0%} sure of<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": ink["ink-soft"], "width": 1.5, "dash": "dot"}, hoverinfo="skip"
    )
    steps = {i / 5: f"{20 * i} %" for i in range(6)}
    axis = {"range": [0, 1], "automargin": True}
    figure.update_xaxes(title="how sure it is", tickvals=list(steps), ticktext=list(steps.values()), **axis)
    del steps[0.0]  # one zero in the corner is enough
    figure.update_yaxes(title="right", tickvals=list(steps), ticktext=list(steps.values()), **axis)
    return figure
