"""Attributions as figures: plotly where people explore, matplotlib for paper and slides. No streamlit."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from explorer.charts import chart
from explorer.theme import PALETTE
from lambda_core.attribution import Curve, Halves
from lambda_core.switching import HALVES

HEIGHT = 300
OF = {"lambda": "pixel", "output": "position"}  # by hue: what a map has a number for
SIGNS = {"content": "λᶜ", "position": "λᵖ"}


def _figure(scheme: str, x: str, y: str, **options: Any) -> Any:
    figure = chart(
        scheme, HEIGHT, margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None}, **options,
    )  # fmt: skip
    figure.update_xaxes(title=x)
    # Shares and correlations have a sign, so zero is a line here.
    figure.update_yaxes(title=y, zeroline=True, zerolinecolor=PALETTE[scheme]["line-strong"])
    return figure


def curves_figure(curves: Mapping[str, Curve], scheme: str) -> Any:
    """Deletion and insertion, by the map and, dotted, by chance."""
    ink = PALETTE[scheme]
    figure = _figure(scheme, "share of the pixels", "probability", hovermode="x unified")
    for name, found in curves.items():
        kind, _, chance = name.partition(", ")
        figure.add_scatter(
            x=found.shares, y=found.probabilities, name=f"{name.capitalize()}: {found.auc:.2f}",
            line={"color": ink["position" if kind == "deletion" else "content"], "width": 1.5 if chance else 2.5,
                  "dash": "dot" if chance else "solid"},
            hovertemplate="%{y:.2f}",
        )  # fmt: skip
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(range=[0, 1.02])
    return figure


def part_title(name: str) -> str:
    """A part of a network that was shuffled, by the name that the page has for it."""
    stage = re.fullmatch(r"stages\.(\d+)", name)
    return f"Stage {int(stage[1]) + 1}" if stage else {"classify": "classifier"}.get(name, name)


def cascade_figure(names: Sequence[str], similarity: np.ndarray, scheme: str) -> Any:
    """Spearman's correlation with the true map as more of the network is shuffled."""
    ink = PALETTE[scheme]
    figure = _figure(scheme, "shuffled, from the classifier down to", "rank correlation of the maps", showlegend=False)
    figure.add_scatter(
        x=[part_title(name) for name in names], y=similarity, mode="lines+markers",
        line={"color": ink["lambda"], "width": 2.5}, marker={"size": 8}, hovertemplate="%{x}: %{y:.2f}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(range=[min(-0.25, float(similarity.min()) - 0.1), 1.05])
    return figure


def halves_figure(shares: Mapping[str, Halves], scheme: str, built: Collection[str] = HALVES) -> Any:
    """The share of each half, of those that are `built`, as bars, and their sum beside logit - silent as a mark."""
    ink = PALETTE[scheme]
    titles = list(shares)
    figure = _figure(scheme, "", "logits", barmode="relative", bargap=0.45)
    for half in (half for half in HALVES if half in built):
        name = f"through {SIGNS[half]}, {half}"
        values = [float(getattr(found, half).sum()) for found in shares.values()]
        figure.add_bar(
            x=titles, y=values, name=name, marker={"color": ink[half]}, hovertemplate="%{y:+.3f}<extra></extra>"
        )
    figure.add_scatter(
        x=titles, y=[found.logit - found.silent for found in shares.values()], name="what the layer adds in all",
        mode="markers", marker={"symbol": "line-ew", "size": 44, "line": {"width": 3, "color": ink["ink"]}},
        hovertemplate="%{y:+.3f}<extra></extra>",
    )  # fmt: skip
    return figure


def halves_table(shares: Mapping[str, Halves], built: Collection[str] = HALVES) -> list[dict[str, Any]]:
    """A row a layer: shares, their sum, what it should be, the error, and the logit without either half of `built`.

    To the three places that are printed, sum and error being those of the numbers printed: who adds them up finds them.
    """
    rows, there = [], [half for half in HALVES if half in built]
    for title, found in shares.items():
        numbers = {SIGNS[half]: round(float(getattr(found, half).sum()), 3) for half in there}
        total, whole = sum(numbers.values()), round(found.logit - found.silent, 3)
        if len(there) > 1:
            numbers[" + ".join(SIGNS[half] for half in there)] = total
        numbers |= {"logit − logit without the layer": whole, "error": total - whole}
        numbers |= {f"without {SIGNS[half]}": getattr(found, f"without_{half}") - found.logit for half in there}
        rows.append({"Layer": title, **{name: round(value, 3) or 0.0 for name, value in numbers.items()}})  # not -0.0
    return rows


def maps_figure(
    photo: Image.Image, maps: Mapping[str, np.ndarray], signed: Mapping[str, bool], hues: Mapping[str, str]
) -> Any:
    """Maps on the photograph, each in means of its own size, on one scale, ready to save as PNG or SVG.

    hues: of each map, one of OF: those of a layer's positions have another than those of the photo's pixels.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    ink = PALETTE["light"]
    scaled = {name: values / (np.abs(values).mean() or 1) for name, values in maps.items()}
    limit = max((float(np.quantile(np.abs(values), 0.985)) for values in scaled.values()), default=1.0) or 1.0
    steps = np.linspace(-1, 1, 201)
    colours = {
        hue: LinearSegmentedColormap.from_list(
            hue, [_see_through(ink["minus" if t < 0 else hue], abs(t) ** 0.8) for t in steps], N=201
        )
        for hue in hues.values()
    }
    columns = min(4, len(scaled) + 1)
    rows = -(-(len(scaled) + 1) // columns)
    figure = Figure(figsize=(2.7 * columns, 2.9 * rows), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    grey = np.asarray(photo.convert("L"), float)
    grid[0].imshow(photo)
    grid[0].set_title("Photo", loc="left", fontsize=10, color=ink["ink"])
    drawn = {}
    for axes, (name, values) in zip(grid[1:], scaled.items(), strict=False):
        axes.imshow(255 - 0.36 * (255 - grey), "gray", vmin=0, vmax=255, extent=(0, 1, 1, 0))
        drawn[hues[name]] = axes.imshow(
            values, colours[hues[name]], vmin=-limit, vmax=limit, extent=(0, 1, 1, 0), interpolation="nearest"
        )
        axes.set_title(name, loc="left", fontsize=10, color=ink["ink"])
    for axes in grid:
        axes.axis("off")
    for hue, image in drawn.items():
        bar = figure.colorbar(image, ax=list(grid), shrink=0.5, aspect=24, pad=0.01)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7, length=0, colors=ink["ink-soft"])
        bar.set_label(f"× the mean size of a {OF[hue]}", fontsize=8, color=ink["ink-soft"])
        if not any(signed.values()):
            bar.ax.set_ylim(0, limit)
    return figure


def _see_through(hue: str, alpha: float) -> tuple[float, float, float, float]:
    r, g, b = (int(hue[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return r, g, b, float(alpha)
