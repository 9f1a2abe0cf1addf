"""The training page: order a run, watch it, take it along."""

import shlex
from pathlib import Path
from typing import Any

import streamlit as st

from explorer import curves, forming, images, jobs, loading, sidebar, tour
from explorer.jobs import Busy, Job
from lambda_core.data import DATASETS, data_folder
from lambda_core.training.config import RECIPES

SCOPES = {"3": 3, "5": 5, "7": 7, "11": 11, "global": None}
HALVES = {"both halves": {}, "content alone": {"position": False}, "position alone": {"content": False}}
SIDE = 16  # of the digits, and of the largest map in their network


def _settings(stages: str, scope: str, dim_k: int, halves: str, lr: float, seed: int) -> tuple[str, ...]:
    """The order as settings of the recipe."""
    reach: dict[str, Any] = {"scope": SCOPES[scope]} | ({"size": (SIDE, SIDE)} if scope == "global" else {})
    overrides = RECIPES["digits"].overrides | {"stages": stages, "layer": {"dim_k": dim_k, **reach, **HALVES[halves]}}
    return (f"overrides={overrides!r}", f"lr={lr}", f"seed={seed}")


@st.cache_data(show_spinner=False)
def _sizes(recipe: str) -> tuple[int, int]:
    """Pictures to train on, and held out."""
    load = DATASETS[RECIPES[recipe].data].load
    return len(load("train")), len(load("val"))  # type: ignore[arg-type]


def _begin(epochs: int, settings: tuple[str, ...]) -> None:
    try:
        job = jobs.create("digits", epochs, settings)
    except Busy as error:
        st.warning(f"{error}.")
    else:
        st.query_params["run"] = job.token
        st.rerun()


def _brought() -> None:
    """The network that the architectures page sent, as an order of its own."""
    chosen: dict[str, Any] | None = st.session_state.get("architecture")
    if chosen is None:
        return
    with st.container(border=True):
        st.markdown(
            f"**From the architectures page:** {chosen['name']}, stages {chosen['overrides']['stages']}, with a "
            "quarter of the widths and a small stem, for digits of 16 pixels."
        )
        st.caption(
            "It has several times as many blocks as the network below, so an epoch takes several times as long: "
            "minutes in all, not one. Pause it when you have seen enough."
        )
        with st.container(horizontal=True):
            if st.button("Train this network for 10 epochs", icon=":material/play_arrow:"):
                _begin(10, (f"model={chosen['name']}", f"overrides={chosen['overrides']!r}"))
            st.button("Forget it", on_click=st.session_state.pop, args=("architecture", None))


def order() -> None:
    """The form, and the run that it starts."""
    _brought()
    with st.form("order", border=False):
        left, middle, right = st.columns(3)
        stages = left.selectbox("Layers of the three stages", ["CLL", "LLL", "CCL"], help="C a convolution, L a lambda")
        halves = left.selectbox("Lambda layers have", list(HALVES))
        scope = middle.selectbox("Scope r", list(SCOPES), index=2)
        dim_k = middle.select_slider("Query depth k", [4, 8, 16], 8)
        epochs = right.slider("Epochs", 2, 60, 20)
        lr = right.select_slider("Learning rate, at its peak", [0.0005, 0.001, 0.002, 0.005, 0.01], 0.002)
        seed = left.number_input("Seed", 0, 9999, 0)
        if st.form_submit_button("Train", type="primary", icon=":material/play_arrow:"):
            _begin(epochs, _settings(stages, scope, dim_k, halves, lr, int(seed)))
    if (data_folder() / "imagenette2-160").is_dir():
        st.caption(
            "Imagenette is here too. It takes hours on a laptop, so it runs from the command line: "
            "`python -m lambda_core.training.classify imagenette-128`, and its state.pt opens on every page."
        )


def watch(job: Job) -> None:
    """The run as it goes: its curves and its buttons every second, its network below."""
    running = job.state == "running"
    st.fragment(_progress, run_every=1.0 if running else None)(job, running)
    if kept := job.kept():
        _network(job, kept)


def _progress(job: Job, was_running: bool) -> None:
    state, log, curve = job.state, job.log(), job.curve()
    train, held_out = _sizes(job.recipe)
    steps = train // RECIPES[job.recipe].batch * job.epochs
    step = int(curve[-1]["step"]) if curve else 0
    left, right = st.columns([3, 2], vertical_alignment="center")
    words = {
        "running": f"Training: epoch {len(log) + 1 if log or step else 0} of {job.epochs}",
        "paused": f"Paused after {len(log)} of {job.epochs} epochs; nothing is lost",
        "done": f"Done: {job.epochs} epochs",
        "failed": "It stopped",
    }
    starting = state == "running" and not step
    left.progress(min(1.0, step / steps), "Starting a process of its own" if starting else words[state])
    with right.container(horizontal=True):
        if state == "running":
            st.button("Pause", icon=":material/pause:", on_click=jobs.pause, args=(job,))
        elif state in ("paused", "failed"):
            st.button("Go on", icon=":material/play_arrow:", type="primary", on_click=_go_on, args=(job,))
        st.button("Discard", icon=":material/delete:", on_click=_discard, args=(job,))
    if state == "failed":
        st.error(job.said)
    if message := st.session_state.pop("training_message", None):
        st.warning(message)
    st.plotly_chart(
        curves.figure(curve, log, steps, job.epochs, st.context.theme.type or "light"),
        key=f"curves_{job.token}", config={"displayModeBar": False},
    )  # fmt: skip
    scored = [row for row in log if "val_top1" in row]
    if scored:
        st.caption(f"Right on {scored[-1]['val_top1']:.1f} % of {held_out} digits held out.")
    if was_running and (state != "running" or len(job.kept()) != st.session_state.get("kept_seen")):
        st.session_state["kept_seen"] = len(job.kept())
        st.rerun()  # the part below has something new to show


def _go_on(job: Job) -> None:
    try:
        jobs.go_on(job)
    except Busy as error:
        st.session_state["training_message"] = f"{error}."


def _discard(job: Job) -> None:
    jobs.discard(job)
    st.query_params.pop("run", None)


def _network(job: Job, kept: dict[int, Path]) -> None:
    """The network after a chosen epoch: its kernels, its lambdas, its answer, and the ways on."""
    st.subheader("What has it learnt so far?")
    epochs = list(kept)
    follow = st.session_state.get("epoch_shown") in (None, st.session_state.get("epoch_last"))
    if follow or st.session_state["epoch_shown"] not in epochs:
        st.session_state["epoch_shown"] = epochs[-1]
    st.session_state["epoch_last"] = epochs[-1]
    left, right = st.columns([1, 2], gap="large")
    with left:
        if len(epochs) > 1:
            st.select_slider("After epoch", epochs, key="epoch_shown")
        epoch = st.session_state["epoch_shown"] if len(epochs) > 1 else epochs[-1]
        digit = forming.digit(int(st.number_input("Digit held out, number", 1, _sizes(job.recipe)[1], 1)) - 1)
        layers = loading.lambda_layers(loading.opened(job.recipe, kept[epoch].read_bytes())[1].model)
        number = layers.index(st.selectbox("Lambda layer", layers, format_func=lambda layer: layer.title))
        now = forming.formed(str(kept[epoch]), digit.key, number, digit.image)
        st.image(digit.image.resize((160, 160), 0), caption=digit.title)
        st.markdown("  \n".join(f"**{name}** {share:.0%}" for name, share in now.answer))
        _ways_on(job, kept[epoch], epoch, digit)
    with right:
        forming.show(now, forming.limits(kept, digit, number), st.context.theme.type)


def _ways_on(job: Job, file: Path, epoch: int, digit: images.Picture) -> None:
    if st.button("Step through this network", icon=":material/footprint:", type="primary"):
        tour.done().add("train")
        loading.bring(f"{job.recipe}, epoch {epoch}", file.read_bytes())
        sidebar.keep("upload", digit)
        st.switch_page("../pages/lambda_layer.py")
    st.download_button(
        "Keep the checkpoint", file.read_bytes(), f"lambda_{job.recipe}_epoch_{epoch}.safetensors",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
    with st.popover("The command", icon=":material/terminal:"):
        st.caption("The same run, without the explorer:")
        st.code(shlex.join(job.command), language="bash", wrap_lines=True)
