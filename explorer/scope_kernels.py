"""The position embeddings of every lambda layer of a network as pictures: a sheet of k kernels a layer."""

import base64
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import streamlit as st
from torch import nn

from explorer import loading, state, theme, tiles, words
from explorer.bars import percent
from explorer.state import Selection
from lambda_core import LambdaLayer

NEAR = 3  # the window whose share of a kernel is told
WIDE, TALL = 248, 620  # of a sheet, and of a list of more than MANY, which scrolls
MANY, COLUMNS, PIXELS = 12, 4, 240
STYLE = """<style>
.kernels {margin: 0} .kernels img {width: 100%; display: block; image-rendering: pixelated}
.kernels figcaption {font-size: 13px; line-height: 20px; padding-top: 6px; opacity: .72}
</style>"""


class Sheet(NamedTuple):
    """Of one layer. limit: the size at full colour. near: the share of the kernels' energy within NEAR x NEAR."""

    path: str
    title: str
    says: str
    png: bytes
    limit: float
    near: float


def near(kernels: np.ndarray) -> float:
    """The share of the sum of squares of (k, R, C) kernels that lies within NEAR x NEAR around their middle."""
    rows, columns = (slice(max(0, side // 2 - NEAR // 2), side // 2 + NEAR // 2 + 1) for side in kernels.shape[1:])
    whole = np.square(kernels).sum()
    return float(np.square(kernels[:, rows, columns]).sum() / whole) if whole else 0.0


def sheets(model: nn.Module, scheme: str = "light") -> list[Sheet]:
    """Every lambda layer that has embeddings, in the order of the data; those of u are summed, as on the canvas."""
    titles = {info.path: info.title for info in loading.lambda_layers(model)}
    found = []
    for path, title in titles.items():
        layer = model.get_submodule(path)
        assert isinstance(layer, LambdaLayer)
        if layer.embeddings is None:
            continue
        kernels = layer.embeddings.detach().float().sum(1).numpy()
        count, rows, columns = kernels.shape
        limit = float(np.quantile(np.abs(kernels), 0.985))
        cell = max(1, PIXELS // (COLUMNS * columns))
        png = tiles.sheet(kernels, "position", limit, columns=COLUMNS, cell=cell, scheme=scheme)
        says = f"{words.kernels(count, layer.dim_u)}, {rows} × {columns}{'' if layer.scope else ', global'}"
        found.append(Sheet(path, title, says, png, limit, near(kernels)))
    return found


@st.cache_data(max_entries=8, show_spinner=False)
def _sheets(network: str, scheme: str) -> list[Sheet]:
    with loading.LOCK:  # another session may have a layer cropped
        return sheets(loading.checkpoint().model, scheme)


def _open(path: str) -> None:
    state.choose(replace(state.current(), layer=path, cell=""))


def show(selection: Selection) -> None:
    """The sheets, each with a button that shows its layer above."""
    found = _sheets(loading.network_key(), theme.scheme())
    if not found:
        return
    st.subheader("The kernels of every layer")
    minus = theme.MINUS[theme.scheme()].capitalize()
    st.markdown(
        "A kernel holds a number for each offset from the pixel: how much of the value that lies there joins one row "
        f"of λᵖ. {minus} is minus, colour is plus. Where its rim is pale, a layer draws little from far away."
    )
    height = TALL if len(found) > MANY else "content"
    with st.container(horizontal=True, gap="medium", height=height, border=False, key="kernels"):  # type: ignore[arg-type]
        for sheet in found:
            _draw(sheet, sheet.path == selection.layer)


def _draw(sheet: Sheet, open_now: bool) -> None:
    face = base64.b64encode(sheet.png).decode()
    with st.container(width=WIDE):
        st.button(
            sheet.title, key=f"kernels_{sheet.path}", type="tertiary", on_click=_open, args=(sheet.path,),
            icon=":material/radio_button_checked:" if open_now else ":material/radio_button_unchecked:",
            help="Show this layer above", disabled=open_now,
        )  # fmt: skip
        st.html(
            f'{STYLE}<figure class="kernels"><img src="data:image/png;base64,{face}" alt="Kernels of {sheet.title}">'
            f"<figcaption>{sheet.says}. Full colour at ±{sheet.limit:.2g}. {percent(sheet.near)} of their energy "
            f"lies within {NEAR} × {NEAR}</figcaption></figure>"
        )
