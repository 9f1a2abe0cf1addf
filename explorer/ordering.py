"""The training page before a run: what to learn from, which network, for how long, and what that will take."""

from dataclasses import replace
from math import log2
from typing import Any

import streamlit as st

from explorer import jobs, later, lessons, loading, networks, pace, places, words
from explorer.jobs import Busy
from explorer.lessons import LESSONS, Contents, Unfit
from lambda_core import switching
from lambda_core.checkpoints import CheckpointRefused
from lambda_core.data import data_folder
from lambda_core.training.config import RECIPES, Recipe
from lambda_core.training.held_out import data_of

SCOPES = {"3": 3, "5": 5, "7": 7, "11": 11, "global": None}
HALVES = {"both halves": {}, "content alone": {"position": False}, "position alone": {"content": False}}
STAGES = {"digits": ["CLL", "LLL", "CCL"], "photographs": ["CCLL", "CLLL", "LLLL", "CCCL"]}
PICTURES = (500, 1000, 2000, 4000, 8000)  # to choose from, as far as there are so many
MAP = 16  # side of the first stage's maps
FINETUNE = "finetune"  # the recipe for trained weights
RATES = [0.0005, 0.001, 0.002, 0.005, 0.01]


def halves(recipe: Recipe) -> tuple[str, ...]:
    """Those that the lambda layers have which a recipe asks for."""
    asked = {**recipe.overrides.get("layer", {}), **recipe.overrides}
    return tuple(half for half in switching.HALVES if asked.get(half, True))


def order() -> tuple[str, ...]:
    """The choices, and the run that they start. Returns the halves that its lambda layers would have."""
    names = lessons.found()
    name = st.radio(
        "What should it learn?", names, format_func=lambda name: LESSONS[name].title, horizontal=True,
        key="lesson", label_visibility="collapsed" if len(names) == 1 else "visible", persist_state="session",
    )  # fmt: skip
    folder = str(data_folder())
    try:
        there = lessons.contents(name, folder)
        row = lessons.examples(name, folder)
    except Unfit as error:
        st.warning(str(error))
        return switching.HALVES
    st.markdown(LESSONS[name].text)
    st.image(row)
    if len(names) == 1:
        st.caption(
            "To learn from photographs too, fetch Imagenette (99 MB) into a folder `data` and open this page again: "
            "`python -m lambda_core.training.classify photographs --data data --download --dry-run`. Or put pictures "
            "of your own there, in `data/train/CLASS/` and `data/val/CLASS/` for each class."
        )
    begin = _begin_from(name)
    recipe = _chosen(name, there, begin)
    source = lessons.source(name, "train", folder)
    later.show(
        repr((folder, begin and begin.key, recipe.model, recipe.data, recipe.size, sorted(recipe.overrides.items()))),
        lambda: pace.measure(_settled(recipe, begin), source, len(there.classes)),
        lambda found: _time(found, recipe),
        "Measuring how long an epoch takes here",
        refusals=(ValueError,),  # DataBroken is one
        latest="pace",
    )
    if st.button("Train", type="primary", icon=":material/play_arrow:"):
        _begin(name, recipe, folder, begin)
    return places.halves() if begin else halves(recipe)


def _time(found: pace.Pace, recipe: Recipe) -> None:
    whole = found.run(recipe)
    more = " It pauses by itself after an hour; you can let it go on." if whole > jobs.LONGEST else ""
    st.caption(
        f"{recipe.pictures:,} pictures to learn from, {recipe.held_out:,} held out to test it. As measured here, an "
        f"epoch takes about **{pace.words(found.epoch(recipe))}**, all {recipe.epochs} about "
        f"**{pace.words(whole)}**.{more}"
    )


def _begin_from(name: str) -> networks.Opened | None:
    """The network that is open, where the run is to go on with its weights. Not for a set that it has learned."""
    found = networks.first()
    learned = name != "imagefolder" and name == data_of(found.checkpoint.card)  # a folder may hold other pictures now
    if learned or not LESSONS[name].further:
        return None
    try:
        found.checkpoint.preparation()
    except CheckpointRefused:  # it sees no pictures as they are here
        return None
    if not loading.lambda_layers(found.checkpoint.model):
        return None  # nothing of it could be watched
    chosen = st.radio(
        "It begins with", [False, True], key="begin_trained", horizontal=True, persist_state="session",
        format_func=lambda trained: f"what {words.escaped(found.name)} has learned" if trained else "random numbers",
        help="The network that the other pages show: open another one there. It knows edges, textures and shapes "
        "already, so fewer pictures and epochs do.",
    )  # fmt: skip
    return found if chosen else None


def _settled(recipe: Recipe, begin: networks.Opened | None) -> Recipe:
    """The recipe with the network and the image size that it takes from trained weights."""
    if begin is None:
        return recipe
    checkpoint = begin.checkpoint
    return recipe.settled(checkpoint.card["architecture"], checkpoint.preparation()["size"])


def _begin(name: str, recipe: Recipe, folder: str, begin: networks.Opened | None) -> None:
    """Start the run, as changes to the recipe of the lesson."""
    of = FINETUNE if begin else LESSONS[name].recipe
    fields = ["model", "data", "size", "overrides", "lr", "seed"] + ["pictures", "held_out"] * (name != "digits")
    changes = {field: getattr(recipe, field) for field in [*fields, "precision", "keep"]}
    settings = tuple(f"{field}={value}" for field, value in changes.items() if value != getattr(RECIPES[of], field))
    weights = jobs.Begin(begin.name, networks.sent_content()) if begin else None
    try:
        job = jobs.create(of, recipe.epochs, settings, None if name == "digits" else folder, weights)
    except Busy as error:
        st.warning(f"{error}.")
    else:
        st.session_state["run"] = job.token
        st.rerun()


def _chosen(name: str, there: Contents, begin: networks.Opened | None) -> Recipe:
    """The recipe of the lesson, or that of trained weights, with what was chosen on the page."""
    lesson = LESSONS[name]
    plain = RECIPES[lesson.recipe]
    left, right = st.columns([2, 1], gap="large")
    with left:
        st.caption("The network")
        if begin:
            taken = {name: getattr(plain, name) for name in ("keep", "precision", "pictures", "held_out")}
            plain = replace(RECIPES[FINETUNE], **taken)
            model, overrides, side = plain.model, plain.overrides, plain.size
            _trained(begin)
        else:
            model, overrides = _brought(lesson.side) or (plain.model, _network(name))
            side = lesson.side
    with right:
        st.caption("The training")
        most = 60 if lesson.recipe == "digits" else 30
        epochs = st.slider(
            "Epochs", 2, most, plain.epochs, key=f"epochs_{name}", persist_state="session",
            help="In an epoch it sees every picture once.",
        )  # fmt: skip
        pictures = there.train
        if lesson.recipe != "digits":
            counts = [count for count in PICTURES if count < there.train] + [min(there.train, 2 * PICTURES[-1])]
            usual = plain.pictures if plain.pictures in counts else counts[-1]
            pictures = st.select_slider(
                "Pictures", counts, usual, key=f"pictures_{name}", persist_state="session",
                help="Drawn at random. More teach more, and take longer.",
            )  # fmt: skip
        with st.popover("Learning rate and seed"):
            lr = st.select_slider(
                "Learning rate, at its peak", RATES, plain.lr, key=f"lr_{FINETUNE if begin else lesson.recipe}",
                help="How far a step changes the weights.", persist_state="session",
            )  # fmt: skip
            seed = st.number_input(
                "Seed", 0, 9999, 0, key="seed_ordered", persist_state="session",
                help="Another seed begins with other random weights.",
            )  # fmt: skip
    return replace(
        plain, model=model, overrides=overrides, data=name, size=side, epochs=epochs, lr=lr, seed=int(seed),
        pictures=pictures, held_out=min(plain.held_out or there.held_out, there.held_out),
    )  # fmt: skip


def _trained(begin: networks.Opened) -> None:
    """What a network that is trained on is."""
    checkpoint = begin.checkpoint
    count = sum(p.numel() for p in checkpoint.model.parameters())
    layers, side = len(loading.lambda_layers(checkpoint.model)), checkpoint.preparation()["size"]
    st.markdown(
        f"**{words.escaped(begin.name)}**, {count / 1e6:.3g} M parameters, {layers} lambda layer{'s' * (layers > 1)}, "
        f"pictures of {side} × {side} pixels. All its weights learn on; a new last layer, which begins with random "
        "numbers, tells your classes apart."
    )


def _network(name: str) -> dict[str, Any]:
    """The small network of the lesson, changed."""
    lesson = LESSONS[name]
    base = RECIPES[lesson.recipe].overrides
    left, right = st.columns(2)
    with left:
        stages = st.selectbox(
            "Layer of each stage", STAGES[lesson.recipe], key=f"stages_{lesson.recipe}", persist_state="session",
            help="C: a convolution, L: a lambda layer, in the order in which the network sees the picture.",
        )  # fmt: skip
        halves = st.selectbox("Lambda layers have", list(HALVES), key="halves_ordered", persist_state="session")
    with right:
        kernels = HALVES[halves].get("position", True)  # whether the layers have an E
        scope = st.selectbox(
            "Scope r", list(SCOPES), index=2, key="scope_ordered", disabled=not kernels, persist_state="session",
            help="Side of the window around a pixel in which positions count: E has r × r numbers a kernel."
            if kernels else "Without the position half no window is built: every position counts.",
        )  # fmt: skip
        dim_k = st.select_slider(
            "Query depth k", [4, 8, 16], base["layer"]["dim_k"], key=f"depth_{lesson.recipe}", persist_state="session",
            help="E has k kernels." if kernels else "A lambda has k rows.",
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
