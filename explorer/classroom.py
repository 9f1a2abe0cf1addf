"""The training page during and after a run: its curves, its buttons, its network on the way, and the ways on."""

import shlex
from collections.abc import Collection
from pathlib import Path

import streamlit as st

from explorer import (
    curves,
    forming,
    images,
    jobs,
    lessons,
    networks,
    ordering,
    pace,
    sidebar,
    state,
    theme,
    tour,
    verdict,
    words,
)
from explorer.jobs import Busy, Job
from lambda_core.checkpoints import CheckpointRefused
from lambda_core.data import data_folder

LINKED = ("epoch", "watched", "held")  # in the address: the epoch, the layer and the picture that are looked at


def current() -> Job | None:
    """The run that the link names, else the one that this session began; a sentence where it is gone."""
    asked = st.query_params.get("run"), st.session_state.get("run")
    job = jobs.find(asked[0]) or jobs.find(asked[1])
    if job is None:
        _forget()
        if any(asked):
            st.info("That run is gone: it was deleted, or gave way to newer ones, or its server has ended.")
    else:
        st.session_state["run"] = st.query_params["run"] = job.token
    return job


def _forget() -> None:
    st.session_state.pop("run", None)
    for name in ("run", *LINKED):
        st.query_params.pop(name, None)


def _leave(job: Job) -> None:
    """Look at no run. This one stays as it is, and `way_back` leads to it."""
    _forget()
    st.session_state["run_left"] = job.token


def way_back() -> None:
    """To the run that this session left, while it is there: its link went with the address."""
    left = jobs.find(st.session_state.get("run_left"))
    if left is not None:
        st.button("Back to the run that you left", icon=":material/undo:", on_click=_return, args=(left,))


def _return(job: Job) -> None:
    st.session_state["run"] = job.token


def watch(job: Job) -> tuple[str, ...]:
    """The run as it goes: its curves and its buttons every second, its network below. Returns its network's halves."""
    running = job.state == "running"
    kept = job.kept()
    st.fragment(_progress, run_every=1.0 if running else None)(job, running, len(kept))
    st.caption(
        "The address of this page is a link to the run: whoever opens it can watch, step through the network, and "
        "pause or delete the run."
    )
    if kept:
        st.subheader("What has it learned so far?")
        try:
            _network(job, kept)
            return forming.halves(job.token, next(iter(kept.values())))
        except (lessons.Unfit, CheckpointRefused) as error:  # or the run was deleted a moment ago
            st.info(str(error))
    return ordering.halves(job.plan)


def counts(job: Job) -> tuple[int, int]:
    """Pictures to train on, and held out."""
    plan = job.plan
    if plan.pictures:
        return plan.pictures, plan.held_out
    there = lessons.contents(plan.data, str(job.data or data_folder()))
    return there.train, there.held_out


def _progress(job: Job, was_running: bool, kept_then: int) -> None:
    now, kept = job.state, len(job.kept())
    gone = jobs.find(job.token) is None or st.session_state.get("run") != job.token
    if gone or (now == "running") != was_running or kept != kept_then:
        st.rerun()  # the whole page has something new to show
    log, curve = job.log(), job.curve()
    train, held_out = counts(job)
    steps = train // job.plan.batch * job.epochs
    step = int(curve[-1]["step"]) if curve else 0
    titles = {
        "running": f"Epoch {min(len(log) + 1, job.epochs)} of {job.epochs}{_left(job, log, step / steps)}",
        "paused": f"Paused after {len(log)} of {job.epochs} epochs; nothing is lost",
        "done": f"Done: {job.epochs} epochs",
        "failed": "It stopped",
    }
    starting = now == "running" and not step
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.progress(min(1.0, step / steps), "Starting: reading the pictures" if starting else titles[now])
    with right.container(horizontal=True):
        if now == "running":
            st.button("Pause", icon=":material/pause:", on_click=jobs.pause, args=(job,))
        elif now in ("paused", "failed"):
            st.button("Go on", icon=":material/play_arrow:", type="primary", on_click=_go_on, args=(job,))
        if now == "running":
            st.button(
                "Leave this run", icon=":material/logout:", on_click=_leave, args=(job,),
                help="Train something of your own, and come back when you like. The run goes on meanwhile, and pauses "
                "by itself when nobody has looked at it for a quarter of an hour.",
            )  # fmt: skip
        else:
            st.button("Train another", icon=":material/add:", on_click=_leave, args=(job,))
        _delete(job, "Stop and delete" if now == "running" else "Delete")
    if now == "failed":
        st.error("The training stopped, and said why:")
        st.code(job.said, language=None, wrap_lines=True)
    if message := st.session_state.pop("training_message", None):
        st.warning(message)
    scheme = theme.scheme()
    drawn = {"loss": curves.loss(curve, log, steps, job.epochs, scheme)}
    drawn["accuracy"] = curves.accuracy(log, job.epochs, scheme)
    for column, (name, figure) in zip(st.columns(2), drawn.items(), strict=True):
        column.plotly_chart(figure, key=f"{name}_{job.token}", config={"displayModeBar": False})
    scored = [row for row in log if "val_top1" in row]
    if scored:
        st.caption(
            f"Right on **{scored[-1]['val_top1']:.1f} %** of {held_out:,} pictures that are held out: it never learns "
            f"from them.{_guesses(job)}"
        )
    else:
        st.caption("The loss falls as it learns. Accuracy on held-out pictures appears after the first epoch.")


def _delete(job: Job, label: str) -> None:
    """Asks once more: everyone who opened the link has this button, and nothing brings a run back."""
    with st.popover(label, icon=":material/delete:", key="run_delete"):
        st.markdown("Its curves and its networks will be gone, for everyone who has its link.")
        st.button("Delete this run", type="primary", key="run_delete_now", on_click=_discard, args=(job,))


def _guesses(job: Job) -> str:
    try:
        classes = lessons.contents(job.plan.data, str(job.data or data_folder())).classes
    except lessons.Unfit:
        return ""
    return f" Guessing would be right {100 / len(classes):.3g} % of the time."


def _left(job: Job, log: list[dict[str, float]], share: float) -> str:
    """What is still to come, at the pace of the last epoch."""
    return f", about {pace.words(log[-1]['seconds'] * job.epochs * (1 - share))} left" if log and share < 1 else ""


def _go_on(job: Job) -> None:
    if jobs.find(job.token) is None:  # whoever has the link may have deleted it meanwhile
        return
    try:
        jobs.go_on(job)
    except Busy as error:
        st.session_state["training_message"] = f"{error}."


def _discard(job: Job) -> None:
    jobs.discard(job)
    _forget()


def _choose_epoch(job: Job, last: int) -> None:
    """Keep the choice, for the slider forgets it when its page is left; who chooses the last follows the run."""
    epoch = st.session_state["epoch_shown"]
    st.session_state["epoch_chosen"] = (job.token, None if epoch == last else epoch)


def _epoch(job: Job, kept: dict[int, Path]) -> int:
    """The epoch to look at: the last one, unless another was chosen."""
    epochs = list(kept)
    run, chosen = st.session_state.get("epoch_chosen", ("", None))
    epoch = chosen if run == job.token and chosen in epochs else epochs[-1]
    if len(epochs) > 1:
        if st.session_state.get("epoch_shown") != epoch:
            st.session_state["epoch_shown"] = epoch
        st.select_slider("After epoch", epochs, key="epoch_shown", on_change=_choose_epoch, args=(job, epochs[-1]))
    state.put("epoch", "" if epoch == epochs[-1] else str(epoch))
    return epoch


def _arrive(job: Job, epochs: Collection[int], paths: Collection[str], pictures: int) -> None:
    """Look at what a link names, as far as it is there."""
    if not state.opened():
        return
    epoch, path, number = (st.query_params.get(name, "") for name in LINKED)
    if epoch in map(str, epochs):
        st.session_state["epoch_chosen"] = (job.token, int(epoch))
    if path in paths:
        st.session_state[f"watched_{job.token}"] = path
    if number.isascii() and number.isdigit() and len(number) < 10 and 1 <= int(number) <= pictures:
        st.session_state[f"held_{job.token}"] = int(number)


def _network(job: Job, kept: dict[int, Path]) -> None:
    """The network after a chosen epoch: its answer, its kernels, its lambdas, and the ways on."""
    left, right = st.columns([1, 2], gap="large")
    with left:
        titles = {info.path: info.title for info in forming.layers(job.token, next(iter(kept.values())))}
        _arrive(job, kept, titles, counts(job)[1])
        epoch = _epoch(job, kept)
        path = st.selectbox(
            "Lambda layer", list(titles), format_func=titles.__getitem__, key=f"watched_{job.token}",
            persist_state="session",
        )  # fmt: skip
        number = int(st.number_input(
            "A picture held out, by number", 1, counts(job)[1], 1, key=f"held_{job.token}", persist_state="session"
        ))  # fmt: skip
        state.put("watched", "" if path == next(iter(titles)) else path)
        state.put("held", "" if number == 1 else str(number))
        picture = lessons.held_out(job.plan.data, number - 1, str(job.data or data_folder()))
        now = forming.formed(str(kept[epoch]), picture.key, path, picture.image)
        st.image(lessons.enlarged(picture.image), caption=words.unlinked(picture.title))
        scheme = theme.scheme()
        st.html(verdict.STYLE)
        st.html(f'<div class="verdict" data-theme="{scheme}">{verdict.bars(now.classes, now.shares)}</div>')
    with right:
        forming.show(now, forming.limits(kept, picture, path), theme.scheme())
        _ways_on(job, kept[epoch], epoch, picture)


def _ways_on(job: Job, file: Path, epoch: int, picture: images.Picture) -> None:
    name = f"{job.plan.data}, epoch {epoch}.safetensors"  # in programs that are exported too, so that they find it
    with st.container(horizontal=True):
        if st.button("Step through this network", icon=":material/footprint:", type="primary"):
            if refused := networks.open_first(name, file.read_bytes()):
                st.warning(refused)
                return
            tour.done().add("train")
            sidebar.keep("set", picture)
            st.switch_page("../pages/lambda_layer.py")
        st.download_button(
            "Keep the checkpoint", file.read_bytes(), name,
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        with st.popover("The command", icon=":material/terminal:"):
            st.caption("The same run, without the explorer:")
            st.code(shlex.join(job.command), language="bash", wrap_lines=True)
    said = "Stepping through it makes it the network of every page: predictions, attributions and all others."
    if job.state == "running":
        said += (
            " The training goes on meanwhile, and pauses by itself when nobody has looked at this page for a quarter "
            "of an hour."
        )
    st.caption(said)
