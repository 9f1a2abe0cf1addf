"""What the scope page says below its canvas: the receptive field through depth, and the paper's table of scopes."""

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from PIL import Image

from explorer import ablated, heat, images, later, loading, theme
from explorer.bars import percent
from explorer.charts import chart
from explorer.scoping import scopes
from explorer.theme import PALETTE
from lambda_core import LambdaLayer
from lambda_core.data import prepare, square
from lambda_core.footprint import receptive_field
from lambda_core.training.ablations import LARGEST_MAP

BY_SCOPE = ("micro_scope3", "micro_scope7", "micro_scope15", "micro_ccll")
MOST = 10  # small multiples: every module of a deep network would be a wall of pictures
GRID = """<style>
.depth {display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 16px; max-width: 1180px}
.depth figure {margin: 0} .depth img {width: 100%; display: block}
.depth figcaption {font-size: 14px; line-height: 20px; padding-top: 6px}
.depth small {display: block; font-size: 13px; opacity: .72}
</style>"""


class Place(NamedTuple):
    """A module whose receptive field is shown."""

    path: str
    title: str
    kind: str


def places(model: Any) -> list[Place]:
    """Stem, stages and lambda layers of a network in order, at most MOST: the first and last, and evenly between."""
    layers = {info.path: info.title for info in loading.lambda_layers(model)}
    found = []
    for path, module in model.named_modules():
        if path in layers:
            scope = f"r = {module.scope}" if module.scope else "global"
            found.append(Place(path, layers[path], f"lambda layer, {scope}" if module.position else "lambda layer"))
        elif path == "stem":
            found.append(Place(path, "Stem", "convolutions"))
        elif path.startswith("stages.") and path.count(".") == 1 and not _has_layer(module):
            found.append(Place(path, f"Stage {int(path.split('.')[1]) + 1}", "convolutions"))
    chosen = np.unique(np.linspace(0, len(found) - 1, min(MOST, len(found))).round().astype(int))
    return [found[i] for i in chosen]


@st.cache_data(max_entries=8, show_spinner=False)
def _places(network: str) -> list[Place]:
    with loading.LOCK:  # another session may have half of a layer switched off
        return places(loading.checkpoint().model)


def _has_layer(module: Any) -> bool:
    return any(isinstance(part, LambdaLayer) for part in module.modules())


def widths(field: np.ndarray, share: float = 0.95) -> float:
    """The part of the picture, in 0..1, that the largest derivatives take to hold `share` of their sum."""
    sizes = np.sort(field.ravel())[::-1]
    total = sizes.sum()
    return float((np.searchsorted(sizes.cumsum(), share * total) + 1) / sizes.size) if total else 0.0


def _fields(loaded: Any, image: Image.Image, paths: Sequence[str]) -> dict[str, np.ndarray]:
    found, model, x = {}, loaded.model, prepare(image, loaded.preprocess)
    for path in paths:  # one by one: between two, other sessions may use the network
        with loading.LOCK:
            found[path] = receptive_field(model, x, [path])[path].numpy()
    return found


def opens(layer: dict[str, Any]) -> str:
    """What the first lambda layer, as `loading.describe` has it, adds to what a pixel depends on."""
    own, largest = scopes(layer)
    if layer["content"] or own == largest:
        return (
            "the first lambda layer opens it at once to the whole picture. In theory every pixel is then connected "
            "with every other."
        )
    return f"the first lambda layer, which has no content half, adds its whole window of {own} × {own} positions."


def depth(picture: images.Picture) -> None:
    """Small multiples: what of the picture the middle pixel of each layer depends on."""
    st.subheader("Through depth: what the middle pixel of each layer depends on")
    first = loading.traced(picture, loading.lambda_layers(loading.checkpoint().model)[0].path)
    st.markdown(
        f"A convolution adds a ring to what a pixel depends on; {opens(first.layer)} What counts is how "
        "strongly: this is the measured, or *effective*, receptive field, the size of the derivative of one pixel with "
        "respect to the picture (Luo et al. 2016), on this picture."
    )
    loaded, chosen = loading.checkpoint(), _places(loading.network_key())
    key = f"depth {picture.key} {loading.network_key()}"
    work = partial(_fields, loaded, picture.image, [place.path for place in chosen])

    def draw(fields: dict[str, np.ndarray]) -> None:
        _draw_fields(key, theme.scheme(), chosen, loaded, picture.image, fields)

    later.show(key, work, draw, "Differentiating layer by layer …", latest="depth")


@st.cache_data(max_entries=32, show_spinner=False)  # with what it draws
def _draw_fields(
    key: str, scheme: str, _chosen: list[Place], _loaded: Any, _image: Image.Image, _found: dict[str, np.ndarray]
) -> None:
    figures, photo = [], square(_image, 192, _loaded.preprocess.get("crop", 1.0))
    for place in _chosen:
        field, title = _found[place.path], escape(place.title)
        png = heat.on_photo(photo, field, "output", scheme=scheme)
        figures.append(
            f'<figure><img src="data:image/png;base64,{png}" alt="Receptive field of {title}"><figcaption>{title}'
            f"<small>{place.kind}</small><small>95 % of it in {percent(widths(field))} of the picture</small>"
            "</figcaption></figure>"
        )
    st.html(GRID + f'<div class="depth">{"".join(figures)}</div>')


def table() -> list[dict[str, Any]]:
    """The paper's table of scopes, published beside recomputed: r, flops_b, ours_b, params_m, top1, verdict."""
    from lambda_core.tables import RECIPES, compare

    rows: dict[str, dict[str, Any]] = {}
    for figure in compare("scope"):
        row = rows.setdefault(figure.row, {"r": figure.row.partition("x")[0]})
        if figure.metric == "flops_b":
            params = RECIPES["scope"][figure.row].figures()["params_m"]
            row |= {"flops_b": figure.published, "ours_b": figure.recomputed, "params_m": params}
            row["verdict"] = figure.verdict
        else:
            row[figure.metric] = figure.published
            row["measured"], row["measured_on"] = figure.measured, figure.measured_on
    return list(rows.values())


def cost() -> None:
    """What a larger scope costs and brings: FLOPs and accuracy by r."""
    st.subheader("What a larger scope costs, and what it brings")
    st.markdown(
        "A ResNet-50, a common network of 16 blocks in four stages, with lambda layers in its last three stages "
        "(CLLL), at 224 px. Circles are what the paper printed; the line is recomputed here from the shapes of every "
        "layer. **FLOPs** are the multiplications and additions of convolutions and matrix products for one picture. "
        "Parameters hardly change with r, the position sum does: 2·n·m·k·v·u operations a layer, m = min(r, H)² "
        "positions in the window on a map of H × H. **Top-1** is how often the likeliest class is the right one. The "
        "paper measured it on ImageNet, photographs of 1,000 kinds of things, and finds that from 15 × 15 on a larger "
        "window costs much and brings nothing."
    )
    scheme = theme.scheme()
    later.show("cost by scope", table, partial(_draw_cost, scheme), "Recomputing the paper's table, layer by layer …")


@st.cache_data(max_entries=2, show_spinner=False)  # with what it draws: charts cost much of the time a click may take
def _draw_cost(scheme: str, _rows: list[dict[str, Any]]) -> None:
    figures = {
        "scope_flops": _chart(_rows, scheme, "flops_b", "FLOPs, billions", ours="ours_b"),
        "scope_top1": _chart(_rows, scheme, "top1", "Top-1, %", ours="measured"),
    }
    for column, (key, figure) in zip(st.columns(2, gap="large"), figures.items(), strict=True):
        column.plotly_chart(figure, key=key, theme=None, config={"displayModeBar": False})
    measured = sorted({row["measured_on"] for row in _rows if row["measured"] is not None})
    shown = [
        {
            "Scope": row["r"] if row["r"] == "global" else f"{row['r']} × {row['r']}",
            "FLOPs, paper (B)": row["flops_b"], "FLOPs, here (B)": row["ours_b"],
            "Parameters, here (M)": row["params_m"], "Top-1, paper (%)": row["top1"],
            **({"Top-1, small networks (%)": _one_decimal(row["measured"])} if measured else {}),
            "Recomputed": row["verdict"],
        }
        for row in _rows
    ]  # fmt: skip
    formats: dict[str, Any] = {
        name: st.column_config.NumberColumn(format="%.3f") for name in shown[0] if "here" in name
    }
    formats["Top-1, small networks (%)"] = st.column_config.TextColumn(alignment="right")  # one of them is a dash
    st.dataframe(shown, hide_index=True, width="content", column_config=formats)
    st.caption("`python -m lambda_core.tables --table scope` prints this table; the figures are from there.")
    if measured:
        st.caption(
            f"Ours: {'; '.join(measured)}. Their lambda layers see maps of "
            f"{LARGEST_MAP} × {LARGEST_MAP} and less, where 23 × 23 is everything: r = 23 and global are one network. "
            "The levels of two data sets do not compare, and differences below a point are within the noise of seeds."
        )
    if sentence := ablated.missing(BY_SCOPE):
        st.markdown(sentence)


def _one_decimal(number: float | None) -> str:
    return "–" if number is None else f"{number:.1f}"


def _chart(rows: list[dict[str, Any]], scheme: str, published: str, title: str, ours: str) -> Any:
    ink = PALETTE[scheme]
    names = [row["r"] for row in rows]
    found = chart(
        scheme, 310, title=title, margin={"l": 44, "r": 10, "t": 44, "b": 84}, hovermode="x",
        legend={"orientation": "h", "x": 0, "y": -0.3, "yanchor": "top"},
    )  # fmt: skip
    if any(row[ours] is not None for row in rows):
        found.add_scatter(
            x=names, y=[row[ours] for row in rows], mode="lines+markers", connectgaps=True,
            name="here" if ours == "ours_b" else "small networks, here",
            line={"color": ink["position"], "width": 2}, marker={"size": 5},
        )  # fmt: skip
    dots = {"size": 11, "symbol": "circle-open", "line": {"width": 2}, "color": ink["ink"]}
    mode = "markers" if ours == "ours_b" else "lines+markers"
    found.add_scatter(
        x=names, y=[row[published] for row in rows], mode=mode, marker=dots,
        name="paper" if ours == "ours_b" else "paper, ImageNet",
        line={"color": ink["line-strong"], "width": 1},
    )  # fmt: skip
    found.update_xaxes(title="scope r", title_standoff=4, type="category", showgrid=False)
    found.update_yaxes(rangemode="tozero" if ours == "ours_b" else "normal")
    return found.update_layout(showlegend=len(found.data) > 1)
