"""The training page before a run: what to learn from, which network, for how long, and what that will take."""

from dataclasses import replace
from math import log2
from typing import Any

import streamlit as st

from explorer import jobs, later, lessons, pace
from explorer.jobs import Busy
from explorer.lessons import LESSONS, Contents, Unfit
from lambda_core.data import data_folder
from lambda_core.training.config import RECIPES, Recipe

SCOPES = {"3": 3, "5": 5, "7": 7, "11": 11, "global": None}
HALVES = {"both halves": {}, "content alone": {"position": False}, "position alone": {"content": False}}
STAGES = {"digits": ["CLL", "LLL", "CCL"], "photographs": ["CCLL", "CLLL", "LLLL", "CCCL"]}
PICTURES = (500, 1000, 2000, 4000, 8000)  # to choose from, as far as there are so many
MAP = 16  # side of the first stage's maps
RATES = [0.0005, 0.001, 0.002, 0.005, 0.01]


def order() -> None:
    """The choices, and the run that they start."""
    names = lessons.found()
    name = st.radio(
        "What should it learn?", names, format_func=lambda name: LESSONS[name].title, horizontal=True,
        key="lesson", label_visibility="collapsed" if len(names) == 1 else "visible",
    )  # fmt: skip
    folder = str(data_folder())
    try:
        there = lessons.contents(name, folder)
        row = lessons.examples(name, folder)
    except Unfit as error:
        st.warning(str(error))
        return
    st.markdown(LESSONS[name].text)
    st.image(row)
    if len(names) == 1:
        st.caption(
            "To learn from photographs too, fetch Imagenette (99 MB) into a folder `data` and open this page again: "
            "`python -m lambda_core.training.classify photographs --data data --download --dry-run`"
        )
    recipe = _chosen(name, there)
    source = lessons.source(name, "train", folder)
    later.show(
        repr((folder, recipe.model, recipe.data, recipe.size, sorted(recipe.overrides.items()))),
        lambda: pace.measure(recipe, source, len(there.classes)),
        lambda found: _time(found, recipe),
        "Measuring how long an epoch takes here",
        refusals=(ValueError,),  # DataBroken is one
    )
    if st.button("Train", type="primary", icon=":material/play_arrow:"):
        _begin(name, recipe, folder)


def _time(found: pace.Pace, recipe: Recipe) -> None:
    whole = found.run(recipe)
    more = " It pauses by itself after an hour; you can let it go on." if whole > jobs.LONGEST else ""
    st.caption(
        f"{recipe.pictures:,} pictures to learn from, {recipe.held_out:,} held out to test it. As measured here, an "
        f"epoch takes about **{pace.words(found.epoch(recipe))}**, all {recipe.epochs} about "
        f"**{pace.words(whole)}**.{more}"
    )


def _begin(name: str, recipe: Recipe, folder: str) -> None:
    """Start the run, as changes to the recipe of the lesson."""
    plain = RECIPES[LESSONS[name].recipe]
    fields = ["model", "data", "size", "overrides", "lr", "seed"] + ["pictures", "held_out"] * (name != "digits")
    changes = {field: getattr(recipe, field) for field in fields}
    settings = tuple(f"{field}={value}" for field, value in changes.items() if value != getattr(plain, field))
    try:
        job = jobs.create(LESSONS[name].recipe, recipe.epochs, settings, None if name == "digits" else folder)
    except Busy as error:
        st.warning(f"{error}.")
    else:
        st.session_state["run"] = job.token
        st.rerun()


def _chosen(name: str, there: Contents) -> Recipe:
    """The recipe of the lesson with what was chosen on the page."""
    lesson = LESSONS[name]
    plain = RECIPES[lesson.recipe]
    left, right = st.columns([2, 1], gap="large")
    with left:
        st.caption("The network")
        model, overrides = _brought(lesson.side) or (plain.model, _network(name))
    with right:
        st.caption("The training")
        most = 60 if lesson.recipe == "digits" else 30
        epochs = st.slider(
            "Epochs", 2, most, plain.epochs, key=f"epochs_{name}", help="In an epoch it sees every picture once."
        )  # fmt: skip
        pictures = there.train
        if lesson.recipe != "digits":
            counts = [count for count in PICTURES if count < there.train] + [min(there.train, 2 * PICTURES[-1])]
            usual = plain.pictures if plain.pictures in counts else counts[-1]
            pictures = st.select_slider(
                "Pictures", counts, usual, key=f"pictures_{name}",
                help="Drawn at random. More teach more, and take longer.",
            )  # fmt: skip
        with st.popover("Learning rate and seed"):
            lr = st.select_slider(
                "Learning rate, at its peak", RATES, plain.lr, help="How far a step changes the weights."
            )
            seed = st.number_input("Seed", 0, 9999, 0, help="Another seed begins with other random weights.")
    return replace(
        plain, model=model, overrides=overrides, data=name, size=lesson.side, epochs=epochs, lr=lr, seed=int(seed),
        pictures=pictures, held_out=min(plain.held_out or there.held_out, there.held_out),
    )  # fmt: skip


def _network(name: str) -> dict[str, Any]:
    """The small network of the lesson, changed."""
    lesson = LESSONS[name]
    base = RECIPES[lesson.recipe].overrides
    left, right = st.columns(2)
    with left:
        stages = st.selectbox(
            "Layer of each stage", STAGES[lesson.recipe], key=f"stages_{lesson.recipe}",
            help="C: a convolution, L: a lambda layer, in the order in which the network sees the picture.",
        )  # fmt: skip
        halves = st.selectbox("Lambda layers have", list(HALVES), key="halves_ordered")
    with right:
        scope = st.selectbox(
            "Scope r", list(SCOPES), index=2, key="scope_ordered",
            help="Side of the window around a pixel in which positions count: E has r × r numbers a kernel.",
        )  # fmt: skip
        dim_k = st.select_slider(
            "Query depth k", [4, 8, 16], base["layer"]["dim_k"], key=f"depth_{lesson.recipe}", help="E has k kernels."
        )  # fmt: skip
    layer = {**base["layer"], "scope": SCOPES[scope], "dim_k": dim_k, **HALVES[halves]}
    found = base | {"stages": stages, "layer": layer}
    if scope == "global":
        found["image_size"] = lesson.side
    if lesson.recipe == "photographs" and lesson.side != RECIPES["photographs"].size:
        found["stem"] = stem(lesson.side, 32)
    return found


def stem(side: int, width: int) -> tuple[tuple[int, int, int], ...]:
    """3x3 convolutions that bring pictures of `side` pixels to maps of MAP."""
    halvings = int(log2(side // MAP))
    return ((3, width, 2),) * halvings or ((3, width, 1),)


def _brought(side: int) -> tuple[str, dict[str, Any]] | None:
    """The network that the architectures page sent, for pictures of `side` pixels."""
    chosen: dict[str, Any] | None = st.session_state.get("architecture")
    if chosen is None:
        return None
    name, overrides = chosen["name"], chosen["overrides"]
    st.markdown(
        f"**From the architectures page:** {name}, stages {overrides['stages']}, with a quarter of the widths and a "
        f"small stem, for pictures of {side} pixels. It has several times as many blocks as the network that is "
        "otherwise trained here, so give it time."
    )
    st.button(
        "Take the small network", icon=":material/undo:", on_click=st.session_state.pop, args=("architecture", None)
    )
    kept = {field: value for field, value in overrides.items() if field != "num_classes"}
    return name, kept | {"stem": stem(side, overrides["widths"][0]), "image_size": side}
