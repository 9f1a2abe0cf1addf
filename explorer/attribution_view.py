"""The question that the attributions page asks, the maps that answer it, and the work that makes them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from explorer import attributions, images, loading, places, state, words
from explorer.attributions import SIDE, Job, Question
from explorer.bars import percent
from explorer.components.heat_maps import Tile, heat_maps
from explorer.state import Selection
from lambda_core.attribution import METHODS
from lambda_core.evaluation import softmax

CLASSES = 5
LINKED, NOTHING = "methods", "none"  # in the address: the methods, where they are not those of a first visit
STARTS = [name for name, method in METHODS.items() if method.cheap]
SYMBOLS = {  # of the methods' equations, as LaTeX
    "F": "the logit of the class, its score before softmax",
    "x": "the picture as the network takes it",
    "x'": "the baseline, a picture of the mean colour alone",
    "c": "a channel, of the picture or of the layer's output",
    "A": "the output of the layer",
    r"\bar g": "the mean of a channel's derivatives over the map",
    "t": "the way from the baseline, 0, to the picture, 1",
    "s": "the copies of the picture with noise, and their number",
    r"\varepsilon": "the noise of a copy",
    "m": "DeepLIFT's multiplier, which takes the place of a derivative",
    r"\Delta": "what the picture gives minus what the baseline gives",
    "a": "a number inside the network", "a'": "the same for the baseline",
    "b": "one that is multiplied with it", "b'": "that for the baseline",
}  # fmt: skip
_UPRIGHT = re.compile(r"\\(?:text|mathrm|begin|end)\{[^}]*\}")
_SYMBOL = re.compile(r"\\bar g|\\[A-Za-z]+|[A-Za-z]'?")


def _choose_class() -> None:
    if (chosen := st.session_state["attribution_class"]) is not None:
        state.choose(replace(state.current(), target=attributions.class_name(chosen)))


def ask(selection: Selection, picture: images.Picture) -> Question:
    """Classes and layers to click; what is chosen is the question that the rest of the page answers."""
    logits = attributions.logits(picture)
    shares = softmax(logits)
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
        # a dot between them: a class may be a number too
        format_func=lambda i: f"{attributions.class_name(i)} · {percent(float(shares[i]))}",
    )  # fmt: skip
    kind = "Lambda layer" if places.has_lambdas() else "Block"
    places.choose(selection, f"{kind} that the layer methods look at", "attribution_layer")
    return Question(picture, target, selection.layer)


def methods() -> list[str]:
    """The methods that the visitor wants to see, from those that apply."""
    possible = {name: attributions.why_not(name) for name in METHODS}
    offered = [name for name, reason in possible.items() if reason is None]
    _arrive()
    st.session_state.setdefault("attribution_methods", STARTS)
    chosen = st.pills(
        "Methods", offered, selection_mode="multi", key="attribution_methods",
        format_func=lambda name: METHODS[name].title, persist_state="session",
    )  # fmt: skip
    for reason in filter(None, possible.values()):
        st.caption(f"{reason}.")
    names = [name for name in offered if name in chosen]
    state.put(LINKED, "" if names == [name for name in offered if name in STARTS] else ",".join(names) or NOTHING)
    return names


def _arrive() -> None:
    """Choose the methods that a link names."""
    if not state.opened() or not (text := st.query_params.get(LINKED)):
        return
    wanted = [] if text == NOTHING else text.split(",")
    if known := [name for name in METHODS if name in wanted]:
        st.session_state["attribution_methods"] = known
    elif text == NOTHING:
        st.session_state["attribution_methods"] = []
    if len(known) < len(wanted):
        state.note(["The link names a method that there is not, so it was left out."])


def maps(question: Question, names: list[str]) -> dict[str, np.ndarray]:
    """The maps that are known, side by side, and room for those to come. Returns those that are known."""
    results = {name: attributions.known(question, Job("map", name)) for name in names}
    tiles = [
        Tile(
            METHODS[name].title,
            METHODS[name].question,
            f"{result.seconds:.2f} s" if result else absent(question, name),
            attributions.hue(name),
            result.value if result else None,
        )
        for name, result in results.items()
    ]
    if tiles:
        heat_maps(loading.jpeg(question.picture, SIDE), question.picture.title, tiles, key="attribution_maps")
    if len({tile.hue for tile in tiles}) > 1:
        st.caption("Violet: maps of the photo's pixels. Yellow: maps of the layer's positions.")
    found = {name: result.value for name, result in results.items() if result}
    _complete(question, found)
    return found


def _complete(question: Question, found: Mapping[str, np.ndarray]) -> None:
    """Methods that share out the rise of the logit, against that rise: their error."""
    sums = {METHODS[name].title: float(values.sum()) for name, values in found.items() if METHODS[name].complete}
    if not sums:
        return
    rise = attributions.rise(question)
    said = "; ".join(
        f"{title} sums to {attributions.number(total, 3, sign=True)}, error {attributions.step(rise, total, 3)}"
        for title, total in sums.items()
    )
    st.caption(
        "Over the baseline, a picture of the mean colour alone, the logit rises by "
        f"{attributions.number(rise, 3, sign=True)}. {said}."
    )


def symbols(names: Iterable[str]) -> list[str]:
    """The symbols in the equations of these methods, in the order of SYMBOLS."""
    used = {found for name in names for found in _SYMBOL.findall(_UPRIGHT.sub("", METHODS[name].equation))}
    return [symbol for symbol in SYMBOLS if symbol in used]


def explain(names: list[str]) -> None:
    """Equation, source and cost of each method on show, and what the symbols are."""
    if not names:
        return
    with st.expander("What each method computes"):
        for name in names:
            method = METHODS[name]
            st.markdown(
                f"**{method.title}.** {method.question} {method.source}. Passes, forward and back: {method.passes}."
            )
            st.latex(method.equation)
        st.caption("; ".join(f"${symbol}$: {SYMBOLS[symbol]}" for symbol in symbols(names)) + ".")


def pending(question: Question, names: list[str]) -> list[Job]:
    """What was asked for, is not known yet, and has not failed."""
    asked, more = st.session_state.get("attribution_wanted", (None, ()))
    jobs = [Job("map", name) for name in names] + list(more if asked == question else ())
    failed = _failed(question)
    return [job for job in jobs if attributions.known(question, job) is None and job not in failed]


def _about(question: Question) -> tuple:
    """Names a question about this network, without its picture, which a session is not to keep."""
    return loading.network_key(), question.picture.key, question.target, question.layer


def _failed(question: Question) -> dict[Job, str]:
    """What could not be computed for a question about this network, and why."""
    return st.session_state.get("attribution_failed", {}).get(_about(question), {})


def absent(question: Question, name: str) -> str:
    """What a method's map is that is not there: on its way, unless it could not be computed."""
    return "not computed" if Job("map", name) in _failed(question) else "computing"


def _fail(question: Question, job: Job, why: str) -> None:
    st.session_state.setdefault("attribution_failed", {}).setdefault(_about(question), {})[job] = why


def _cancel(keep: list[str]) -> None:
    st.session_state.pop("attribution_wanted", None)
    st.session_state["attribution_methods"] = keep


def _told(question: Question, found: Mapping[str, np.ndarray]) -> None:
    """What the maps are about, why one could not be computed, or what to do for one."""
    sentences = [f"{job.title} was not computed: {text}." for job, text in _failed(question).items()]
    title = words.unlinked(attributions.class_name(question.target))
    if sentences:
        st.info(" ".join(sentences))
    elif found:
        st.caption(f"The maps explain the logit of {title}: its score, before softmax.")
    else:
        st.caption(f"Choose a method above to see which parts of the picture speak for {title}.")


def work(place: DeltaGenerator, question: Question, jobs: list[Job], found: Mapping[str, np.ndarray]) -> None:
    """Do it, with progress and a way out; a click anywhere ends it too. Called last, when the page is drawn."""
    if not jobs:
        with place:
            _told(question, found)
        return
    with place.container(horizontal=True, vertical_alignment="center", gap="medium"):
        bar = st.progress(0.0, text=jobs[0].title)
        st.button("Cancel", key="attribution_cancel", on_click=_cancel, args=(list(found),), width=110)
    for job in jobs:

        def tell(share: float, job: Job = job) -> None:
            bar.progress(min(1.0, share), text=job.title)

        tell(0.0)
        try:
            attributions.find(question, job, tell)
        except (ValueError, ImportError) as error:
            _fail(question, job, str(error))
        if not job.quick:
            break  # show it before the next one starts
    st.rerun()
