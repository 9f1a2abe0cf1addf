"""The brush of the attributions page: what is painted over is covered, and the network answers without it."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from explorer import attribution_view, attributions, images, loading, tour, words
from explorer.attributions import SIDE, Question
from explorer.components import brush as painting
from lambda_core.attribution import METHODS
from lambda_core.evaluation import softmax

CLASSES = 5


def _cover(mask: np.ndarray) -> None:
    """Python moves the mask: the next version goes to the browser."""
    st.session_state["attribution_mask"] = mask
    st.session_state["attribution_mask_version"] = st.session_state.get("attribution_mask_version", 0) + 1


def _follow() -> None:
    """The browser moves it. A stroke on a mask that Python has exchanged meanwhile, as for a new picture, is late."""
    sent = (st.session_state.get("attribution_brush") or {}).get("mask")
    if isinstance(sent, Mapping) and sent.get("version") == st.session_state.get("attribution_mask_version"):
        st.session_state["attribution_mask"] = painting.from_text(sent.get("digits"))


def _mask(picture: images.Picture) -> np.ndarray:
    """What is covered. It was painted on one picture for one network: others start uncovered."""
    of = picture.key, loading.network_key()
    if st.session_state.get("attribution_mask_of") != of:
        st.session_state["attribution_mask_of"] = of
        _cover(np.zeros((painting.GRID, painting.GRID), bool))
    return st.session_state["attribution_mask"]


def _hottest(values: np.ndarray) -> None:
    """Cover the cells of the mask whose middle is hottest."""
    count, share = painting.GRID, st.session_state["attribution_share"] / 100
    rows, columns = (((np.arange(count) + 0.5) * side / count).astype(int) for side in values.shape)
    order = np.argsort(-values[np.ix_(rows, columns)].ravel(), kind="stable")
    mask = np.zeros(count * count, bool)
    mask[order[: round(share * len(mask))]] = True
    _cover(mask.reshape(count, count))


@st.fragment
def brush(question: Question, names: list[str], found: Mapping[str, np.ndarray]) -> None:
    """Paint a region away and see what the network says without it. names: methods that are chosen, found or not."""
    mask = _mask(question.picture)
    fill = st.session_state.get("attribution_fill", "blur")
    before, after = attributions.logits(question.picture), attributions.logits(question.picture, mask, fill)
    shares, now = softmax(before), softmax(after)
    order = [int(i) for i in np.argsort(-np.maximum(shares, now))[:CLASSES]]
    if question.target not in order:
        order[-1] = question.target
    title = attributions.class_name(question.target)
    painting.brush(
        {
            "photo": loading.jpeg(question.picture, SIDE), "fill": _filled(question.picture, fill),
            "mask": painting.to_text(mask), "version": st.session_state["attribution_mask_version"],
            "answer": {
                "title": title, "before": float(before[question.target]), "after": float(after[question.target]),
                "rows": [[attributions.class_name(i), float(shares[i]), float(now[i])] for i in order],
            },
        },
        key="attribution_brush", on_mask_change=_follow,
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.segmented_control(
            "Covered by", ["blur", "mean"], default="blur", required=True, key="attribution_fill",
            format_func={"blur": "Blur", "mean": "Mean colour"}.__getitem__,
        )  # fmt: skip
        if names:
            chosen = st.selectbox(
                "Or cover the hottest part of", names, format_func=lambda n: METHODS[n].title, key="attribution_hot",
                width=220, persist_state="session",
            )  # fmt: skip
            st.slider("Share of the picture, %", 1, 50, 10, key="attribution_share", width=200, persist_state="session")
            there = chosen in found
            st.button(
                "Cover", key="attribution_cover", on_click=_hottest, args=(found.get(chosen),), disabled=not there,
                help=None if there else f"Its map: {attribution_view.absent(question, chosen)}",
            )  # fmt: skip
        st.button("Uncover all", key="attribution_clear", on_click=_cover, args=(np.zeros_like(mask),))
    if now[question.target] < shares[question.target] / 2:
        tour.tick("brush")
    was, has = float(before[question.target]), float(after[question.target])
    st.caption(
        f"Covered: {100 * mask.mean():.0f} % of the picture. Logit of {words.unlinked(title)}: "
        f"{attributions.number(was)} → {attributions.number(has)} ({attributions.step(was, has)})."
    )


def _filled(picture: images.Picture, fill: str) -> str:
    """The whole picture as it looks where it is covered, as base64 JPEG."""
    return attributions.filled(picture.key, fill, loading.checkpoint().preprocess.get("crop", 1.0), picture.image)
