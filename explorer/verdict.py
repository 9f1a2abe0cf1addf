"""What networks answer on one picture: the likeliest classes, and whether it looks like any of them."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from explorer import images, loading, measured, shelf, theme
from explorer.bars import percent
from explorer.networks import Opened
from lambda_core.checkpoints import Checkpoint
from lambda_core.data import prepare, square
from lambda_core.evaluation import Answers, answers_of, familiarity, softmax

STYLE = Path(__file__).parent / "assets" / "predictions.css"
TOP = 5


@st.cache_data(max_entries=64, show_spinner=False)
def _answered(
    picture_key: str, network_key: str, _image: Image.Image, _network: Checkpoint
) -> tuple[np.ndarray, np.ndarray, float]:
    x = prepare(_image, _network.preprocess)
    with loading.LOCK:
        started = perf_counter()
        found = answers_of(_network.model, x)
        return found.logits, found.features, 1000 * (perf_counter() - started)


def answered(picture: images.Picture, network: Opened) -> tuple[Answers, float]:
    """The network's answer to a picture, and the milliseconds it took."""
    logits, features, took = _answered(picture.key, network.key, picture.image, network.checkpoint)
    return Answers(logits, features), took


def unlike(answers: Answers, found: Mapping[str, Any] | None, classes: int) -> str | None:
    """A sentence if the picture falls below the mark that was measured, for these answers (1, classes)."""
    if not found:
        return None
    score = float(familiarity(answers, found)[0])
    if score >= found["mark"]:
        return None
    return (
        f"Looks like none of the {classes} classes: its {found['score']} is {score:.2f}, below the mark of "
        f"{found['mark']:.2f}. The first class is only the one that fits least badly."
    )


def bars(names: tuple[str, ...], probabilities: np.ndarray) -> str:
    """The likeliest classes as HTML; names are a file's words, so they are escaped."""
    rows = []
    for i in np.argsort(-probabilities)[:TOP]:
        name = names[i] if i < len(names) else f"class {i}"
        rows.append(
            f"<li><span>{escape(name[:80])}</span><span>{percent(float(probabilities[i]))}</span>"
            f'<i style="--share:{probabilities[i]:.4f}"></i></li>'
        )
    return f'<ol class="topk">{"".join(rows)}</ol>'


def show(picture: images.Picture, networks: list[Opened]) -> None:
    """The picture, and beside it the answer of each network."""
    st.html(STYLE)
    with st.container(horizontal=True, gap="large"):
        size = int(networks[0].checkpoint.preprocess["size"])
        with st.container(width=260):
            st.image(square(picture.image, max(size, 260)), width=260)
            st.caption(f"{picture.title}, as the network takes it: {size}\u00a0×\u00a0{size}\u00a0px")
        for network in networks:
            with st.container(width=380, gap="small"):
                _column(picture, network)


def _column(picture: images.Picture, network: Opened) -> None:
    answers, took = answered(picture, network)
    classes = answers.logits.shape[1]
    mark = measured.mark(network)
    scheme = theme.scheme()
    st.html(
        f'<div class="verdict" data-theme="{scheme}"><h3>{escape(shelf.title(network.name)[:60])}</h3>'
        f"{bars(network.checkpoint.classes, softmax(answers.logits)[0])}</div>"
    )
    if sentence := unlike(answers, mark, classes):
        st.warning(sentence, icon=":material/help:")
    if mark:
        score = float(familiarity(answers, mark)[0])
        side = "below" if score < mark["mark"] else "above"
        st.caption(
            f"Answered in {took:.0f} ms. {mark['score'].capitalize()} {score:.2f}, {side} the mark of "
            f"{mark['mark']:.2f}. Below it lie {100 * mark['refused_inside']:.0f} % of validation photographs, and "
            f"{100 * mark['refused_outside']:.0f} % of {mark['outside']} crops of photographs of other things "
            f"(AUROC {mark['auroc'][mark['score']]:.2f}; chance is 0.5)."
        )
    else:
        st.caption(
            f"Answered in {took:.0f} ms. Whether a picture looks like any class is not known for this network: "
            "measure it below."
        )
