"""The parts of the attributions page: classes, maps, brush, halves and checks. The page puts them in order."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from explorer import attribution_plots as plots
from explorer import attributions, images, loading, state
from explorer.attributions import Job, Question
from explorer.components import brush as painting
from explorer.components.heat_maps import Tile, heat_maps
from explorer.state import Selection
from lambda_core.attribution import METHODS
from lambda_core.attribution.faithfulness import blurred

SIDE = 384  # pixels of the photographs that the components get
CLASSES = 5
HALVES = Job("halves", "halves")
STARTS = [name for name, method in METHODS.items() if method.cheap]


def scheme() -> str:
    """ "dark" or "light", as the visitor sees the page."""
    return "dark" if st.context.theme.type == "dark" else "light"


# ---- the question


def _choose_class() -> None:
    if (chosen := st.session_state["attribution_class"]) is not None:
        state.choose(replace(state.current(), target=attributions.class_name(chosen)))


def _choose_layer() -> None:
    if chosen := st.session_state["attribution_layer"]:
        state.choose(replace(state.current(), layer=chosen, cell=""))


def ask(selection: Selection, picture: images.Picture) -> Question:
    """Classes and layers to click; what is chosen is the question that the rest of the page answers."""
    logits = attributions.logits(picture)
    shares = attributions.softmax(logits)
    order = [int(i) for i in np.argsort(-logits)]
    named = {attributions.class_name(i): i for i in order}
    if selection.target and selection.target not in named:
        state.note(["The link names a class that this network does not have, so here is the likeliest one."])
        state.choose(replace(state.current(), target=""))
    target = named.get(selection.target, order[0])
    offered = order[:CLASSES] if target in order[:CLASSES] else [*order[: CLASSES - 1], target]
    st.session_state["attribution_class"] = target
    st.pills(
        "Why this class?", offered, key="attribution_class", on_change=_choose_class,
        format_func=lambda i: f"{attributions.class_name(i)}  {100 * shares[i]:.{1 if shares[i] < 0.0995 else 0}f} %",
    )  # fmt: skip
    layers = {info.path: info.title for info in loading.lambda_layers(loading.checkpoint().model)}
    if len(layers) <= 8:  # the sidebar has them all
        st.session_state["attribution_layer"] = selection.layer
        st.pills(
            "Lambda layer that the layer methods look at", list(layers), key="attribution_layer",
            on_change=_choose_layer, format_func=layers.__getitem__,
        )  # fmt: skip
    return Question(picture, target, selection.layer)


# ---- maps


def methods() -> list[str]:
    """The methods that the visitor wants to see, from those that apply."""
    possible = {name: attributions.why_not(name) for name in METHODS}
    offered = [name for name, reason in possible.items() if reason is None]
    st.session_state.setdefault("attribution_methods", STARTS)
    chosen = st.pills(
        "Methods", offered, selection_mode="multi", key="attribution_methods",
        format_func=lambda name: METHODS[name].title,
    )  # fmt: skip
    for reason in filter(None, possible.values()):
        st.caption(f"{reason}.")
    return [name for name in offered if name in chosen]


def maps(question: Question, names: list[str]) -> dict[str, np.ndarray]:
    """The maps that are known or quick, side by side. Returns them."""
    found = {}
    for name in names:
        job = Job("map", name)
        result = attributions.find(question, job, _quiet) if METHODS[name].cheap else attributions.known(question, job)
        if result:
            found[name] = result
    tiles = [
        Tile(
            METHODS[name].title, METHODS[name].question, f"{result.seconds:.2f} s",
            "output" if METHODS[name].layered else "lambda", result.value,
        )
        for name, result in found.items()
    ]  # fmt: skip
    if tiles:
        heat_maps(loading.jpeg(question.picture, SIDE), question.picture.title, tiles, key="attribution_maps")
    return {name: result.value for name, result in found.items()}


def _quiet(_share: float) -> None:
    pass


def explain(names: list[str]) -> None:
    """Equation, source and cost of each method on show."""
    with st.expander("What each method computes"):
        for name in names:
            method = METHODS[name]
            st.markdown(
                f"**{method.title}** — {method.question} {method.source}. Passes, forward and back: {method.passes}."
            )
            st.latex(method.equation)


# ---- brush


def _painted() -> np.ndarray:
    return painting.from_text((st.session_state.get("attribution_brush") or {}).get("mask"))


def _cover(mask: np.ndarray) -> None:
    """Python moves the mask: the next version goes to the browser."""
    st.session_state["attribution_mask"] = mask
    st.session_state["attribution_mask_version"] = st.session_state.get("attribution_mask_version", 0) + 1


def _follow() -> None:
    st.session_state["attribution_mask"] = _painted()


def _hottest(values: np.ndarray) -> None:
    share = st.session_state["attribution_share"] / 100
    step = [side / painting.GRID for side in values.shape]
    rows, columns = (
        np.minimum(((np.arange(painting.GRID) + 0.5) * s).astype(int), n - 1)
        for s, n in zip(step, values.shape, strict=True)
    )
    cells = values[np.ix_(rows, columns)]
    order = np.argsort(-cells.ravel(), kind="stable")
    mask = np.zeros(cells.size, bool)
    mask[order[: round(share * cells.size)]] = True
    _cover(mask.reshape(cells.shape))


@st.fragment
def brush(question: Question, found: Mapping[str, np.ndarray]) -> None:
    """Paint a region away and see what the network says without it."""
    mask = st.session_state.get("attribution_mask", np.zeros((painting.GRID, painting.GRID), bool))
    fill = st.session_state.get("attribution_fill", "blur")
    before, after = attributions.logits(question.picture), attributions.logits(question.picture, mask, fill)
    shares, now = attributions.softmax(before), attributions.softmax(after)
    order = [int(i) for i in np.argsort(-np.maximum(shares, now))[:CLASSES]]
    if question.target not in order:
        order[-1] = question.target
    title = attributions.class_name(question.target)
    painting.brush(
        {
            "photo": loading.jpeg(question.picture, SIDE), "fill": _filled(question.picture, fill),
            "mask": painting.to_text(mask), "version": st.session_state.get("attribution_mask_version", 0),
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
        names = list(found)
        if names:
            st.selectbox(
                "Or cover the hottest part of",
                names,
                format_func=lambda n: METHODS[n].title,
                key="attribution_hot",
                width=220,
            )
            st.slider("Share of the picture, %", 1, 50, 10, key="attribution_share", width=200)
            chosen = st.session_state["attribution_hot"]
            st.button("Cover", key="attribution_cover", on_click=_hottest, args=(found[chosen],))
        st.button("Uncover all", key="attribution_clear", on_click=_cover, args=(np.zeros_like(mask),))
    change = float(after[question.target] - before[question.target])
    st.caption(
        f"Covered: {100 * mask.mean():.0f} % of the picture. Logit of {title}: "
        f"{before[question.target]:.2f} → {after[question.target]:.2f} ({change:+.2f}).".replace("-", "−")
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _fill(key: str, fill: str, _image: Any) -> str:
    import base64
    from io import BytesIO

    from PIL import Image

    from lambda_core.data import square

    pixels = np.asarray(square(_image, 128), np.float32)
    if fill == "blur":
        pixels = blurred(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    else:
        pixels = np.broadcast_to(pixels.mean((0, 1)), pixels.shape)
    buffer = BytesIO()
    Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()


def _filled(picture: images.Picture, fill: str) -> str:
    """The whole picture as it looks where it is covered, as base64 JPEG."""
    return _fill(picture.key, fill, picture.image)


# ---- halves and checks


def _want(question: Question, job: Job) -> None:
    st.session_state["attribution_wanted"] = (question, job)


def _button(question: Question, job: Job, label: str) -> Any:
    """The result of a job, or None and a button that asks for it."""
    if result := attributions.known(question, job):
        return result
    st.button(label, key=f"attribution_{job.kind}", on_click=_want, args=(question, job), icon=":material/play_arrow:")
    return None


def halves(question: Question) -> None:
    """How much of the logit came through λc and λp of each layer."""
    result = _button(question, HALVES, "Split the logit over the halves")
    if result is None:
        return
    titles = {info.path: info.title for info in loading.lambda_layers(loading.checkpoint().model)}
    shares = {titles[path]: found for path, found in result.value.items()}
    left, right = st.columns([3, 2], gap="large")
    left.plotly_chart(
        plots.halves_figure(shares, scheme()), config={"displayModeBar": False}, key="attribution_halves_plot"
    )
    here = result.value[question.layer]
    with right:
        tiles = [
            Tile(
                f"Through {symbol}",
                f"{titles[question.layer]}, {name}",
                f"{float(values.sum()):+.2f}",
                name,
                values.numpy(),
            )
            for symbol, name, values in (("λc", "content", here.content), ("λp", "position", here.position))
        ]
        heat_maps(loading.jpeg(question.picture, SIDE), question.picture.title, tiles, key="attribution_halves_maps")
    form = {"format": "%+.3f"}
    table = plots.halves_table(shares)
    columns = {name: st.column_config.NumberColumn(**form) for name in table[0] if name != "Layer"}
    st.dataframe(table, hide_index=True, column_config=columns)
    worst = max(abs(found.error) for found in shares.values())
    st.caption(
        "λc and λp: integrated gradients along the straight path from zero to the layer's outputs, which must sum to the "
        f"logit minus the logit without the layer; the largest error here is {worst:.4f}. "
        "Without λc, λp: how the logit changes when that half alone is set to zero."
    )


def checks(question: Question, names: list[str]) -> None:
    """Insertion and deletion, and the randomised-weights check, of one method."""
    if not names:
        st.caption("Choose a method above to check it.")
        return
    name = st.selectbox(
        "Method to check", names, format_func=lambda n: METHODS[n].title, key="attribution_checked", width=260
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(
            "**Insertion and deletion.** Take the hottest pixels away first, or give them back first. A good map makes the probability fall early and rise early; dotted is a random order."
        )
        if result := _button(question, Job("curves", name), "Draw the curves"):
            st.plotly_chart(
                plots.curves_figure(result.value, scheme()),
                config={"displayModeBar": False},
                key="attribution_curves_plot",
            )
            by, chance = (result.value[k].auc for k in ("insertion", "insertion, random"))
            down, by_chance = (result.value[k].auc for k in ("deletion", "deletion, random"))
            st.caption(
                f"Area under the curve: deletion {down:.3f} (random {by_chance:.3f}), insertion {by:.3f} (random {chance:.3f})."
            )
    with right:
        st.markdown(
            "**Randomised weights.** Shuffle what the network has learnt, from the classifier down. A map that hardly changes shows the picture, not the network (Adebayo et al. 2018)."
        )
        if result := _button(question, Job("cascade", name), "Shuffle the weights"):
            found = result.value
            st.plotly_chart(
                plots.cascade_figure(found["names"], found["similarity"], scheme()),
                config={"displayModeBar": False},
                key="attribution_cascade_plot",
            )
            empty = sum(not values.any() for values in found["maps"])
            st.caption(
                f"Rank correlation with the true map at the end: {found['similarity'][-1]:.2f}."
                + (f" {empty} maps are empty." if empty else "")
            )


# ---- long work


def pending(question: Question, names: list[str]) -> list[Job]:
    """What was asked for and is not known yet."""
    jobs = [Job("map", name) for name in names]
    wanted = st.session_state.get("attribution_wanted")
    if wanted and wanted[0] == question:
        jobs.append(wanted[1])
    return [job for job in jobs if attributions.known(question, job) is None]


def _cancel(keep: list[str]) -> None:
    st.session_state.pop("attribution_wanted", None)
    st.session_state["attribution_methods"] = keep


def work(place: DeltaGenerator, question: Question, jobs: list[Job], found: Mapping[str, np.ndarray]) -> None:
    """Do it, with progress and a way out; a click anywhere ends it too. Called last, when the page is drawn."""
    if not jobs:
        place.caption(
            f"Every map is for {attributions.class_name(question.target)}: what speaks for it, and what against."
        )
        return
    with place.container(horizontal=True, vertical_alignment="center", gap="medium"):
        bar = st.progress(0.0, text=jobs[0].title)
        st.button("Cancel", key="attribution_cancel", on_click=_cancel, args=(list(found),), width=110)
    try:
        for done, job in enumerate(jobs):
            bar.progress(done / len(jobs), text=job.title)
            attributions.find(
                question, job,
                lambda share, done=done, job=job: bar.progress(min(1.0, (done + share) / len(jobs)), text=job.title),
            )  # fmt: skip
    except ValueError as error:
        _cancel(list(found))
        place.info(f"Not computed: {error}.")
        return
    st.rerun()
