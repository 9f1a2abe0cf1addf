"""What networks answer on one picture: the likeliest classes, and whether it looks like any of them."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from explorer import exporting, images, loading, measured, shelf, theme, words
from explorer.bars import percent
from explorer.networks import Opened
from lambda_core.checkpoints import Checkpoint
from lambda_core.data import prepare
from lambda_core.evaluation import Answers, answers_of, familiarity, softmax

STYLE = Path(__file__).parent / "assets" / "predictions.css"
TOP = 5
MEANINGS = {  # of the scores that may say whether a picture looks like any class
    "likeness": "how close what the network sees in it comes to the average picture of the nearest class; 1 is most",
    "largest logit": "the highest score that the network gives to a class",
    "energy": "the scores that the network gives to all classes, taken together",
}
WIDE = 260  # pixels of the picture on the page


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


def placed(score: float, mark: Mapping[str, Any]) -> str:
    """What the score is, and on which side of the mark it lies, for those who never heard of either."""
    name, least = mark["score"], mark["mark"]
    side, so = ("below", "hardly") if score < least else ("above", "it may")
    return (
        f"Does the picture look like any of the classes at all? Its {name} is {score:.2f}, {side} the mark of "
        f"{least:.2f}: {so}. {name.capitalize()} is {MEANINGS[name]}."
    )


def trust(mark: Mapping[str, Any]) -> str:
    """How far the mark can be trusted, in Markdown."""
    return (
        f"How far can the mark be trusted? Below it lie {100 * mark['refused_inside']:.0f} % of validation pictures, "
        f"which all show a class, and {100 * mark['refused_outside']:.0f} % of {mark['outside']} crops of photographs "
        f"of other things. In {100 * mark['auroc'][mark['score']]:.0f} % of all pairs of one and the other, the one "
        f"that shows a class has the higher {mark['score']}; a coin would be right in 50 %. This share is called AUROC."
    )


def bars(classes: tuple[str, ...], probabilities: np.ndarray) -> str:
    """The likeliest classes as HTML; names are a file's words, so they are escaped."""
    rows = [
        f"<li><span>{escape(words.class_name(classes, i))}</span><span>{percent(float(probabilities[i]))}</span>"
        f'<i style="--share:{probabilities[i]:.4f}"></i></li>'
        for i in map(int, np.argsort(-probabilities)[:TOP])
    ]
    return f'<ol class="topk">{"".join(rows)}</ol>'


def enlarged(seen: Image.Image) -> Image.Image:
    """What the network takes, for the page: at least twice as many pixels as there is room for."""
    return images.enlarged(seen, 2 * WIDE)


def show(picture: images.Picture, networks: list[Opened]) -> None:
    """The picture, and beside it the answer of each network."""
    st.html(STYLE)
    with st.container(horizontal=True, gap="large"):
        seen = exporting.seen(picture)
        with st.container(width=WIDE):
            st.image(enlarged(seen), width=WIDE)
            which = "the network" if len(networks) == 1 else "the first network"
            st.caption(
                f"{words.unlinked(picture.title)}, as {which} takes it: {seen.width}\u00a0×\u00a0{seen.height}\u00a0px"
            )
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
        st.caption(f"Answered in {took:.0f} ms. {placed(score, mark)}", help=trust(mark))
    else:
        how = "." if measured.unfit(network) else ": measure it below."
        st.caption(
            f"Answered in {took:.0f} ms. Whether a picture looks like any class is not known for this network{how}"
        )
