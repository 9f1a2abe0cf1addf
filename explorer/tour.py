"""The guided tour: short tasks across the pages, each a link, each noticing when it is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import streamlit as st

from explorer import navigation, state
from explorer.state import Selection

DONE, CLOSED, HIDDEN, BUILDING = "tasks_done", "tasks_closed", "tour_hidden", "tour_building"


@dataclass(frozen=True)
class Task:
    """One thing to do on a page, opened there at `step`; whoever notices that it is done calls `tick(name)`."""

    name: str
    text: str
    page: str = "lambda_layer"
    step: int = 0


TASKS = (
    Task("overview", "Move the pixel over the photo: one table stays, one changes. Which?"),
    Task("sum", "Open one number of λ, and point at the position that counts most in it, by pointer or keys.", step=6),
    Task("attention", "Lay the content weights on the photo, then the position weights.", step=8),
    Task("halves_switch", "Switch halves off until the network changes its answer.", "content_position"),
    Task("scope-crop", "Drag the window down to 3 × 3. How far does the output move?", "scope"),
    Task("memory", "Drag a size until attention crosses the memory of this machine. What does λ take there?", "memory"),
    Task("swap", "Exchange one block for a lambda layer. What does it save, what does it cost?", "architectures"),
    Task("brush", "Paint over the picture until the network is half as sure. What did it look at?", "attributions"),
    Task("train", "Train a small network and step through it, finished or not.", "training"),
)  # a canvas reports the names of its own tasks
ICONS = {True: ":material/check_circle:", False: ":material/radio_button_unchecked:"}


def tasks() -> list[Task]:
    """Those whose page is there."""
    return [task for task in TASKS if (navigation.PAGES / f"{task.page}.py").is_file()]


def possible() -> list[Task]:
    """Those that this session's network and this machine allow, or that are done."""
    return [task for task in tasks() if task.name in done() or task.name not in closed()]


def done() -> set[str]:
    """Names of what this session has done."""
    return st.session_state.setdefault(DONE, set())


def tick(name: str) -> None:
    """Note that a task is done. Called where it shows, in a page's run and not in a callback."""
    if name in done():
        return
    done().add(name)
    if not st.session_state.get(BUILDING):  # a fragment runs by itself: the line above the page has to follow
        st.rerun()


def closed() -> set[str]:
    """Names of what this session's network or this machine does not let one do, as far as the pages were open."""
    return st.session_state.setdefault(CLOSED, set())


def allow(name: str, holds: bool) -> None:
    """Note whether one can do a task here: a layer without a half has nothing to compare it with."""
    (closed().discard if holds else closed().add)(name)


def next_task(page: str) -> Task | None:
    """What to do now: the first open task of this page, else the first one open."""
    left = [task for task in tasks() if task.name not in done() | closed()]
    return next((task for task in left if task.page == page), left[0] if left else None)


def _query(task: Task) -> dict[str, str]:
    return state.to_query(replace(state.current(), step=task.step, cell=""))


def _open(task: Task) -> None:
    state.choose(replace(state.current(), step=task.step, cell=""))


def _hide(hidden: bool) -> None:
    st.session_state[HIDDEN] = hidden


@contextmanager
def line(page: str) -> Iterator[None]:
    """One sentence above a page: what to try next, with its link. It follows what is done while the page runs."""
    if page == "" or st.session_state.get(HIDDEN) or next_task(page) is None:  # the first page shows the whole list
        yield
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="tour_line"):
        place = st.empty()
        st.button("Hide", key="tour_hide", type="tertiary", on_click=_hide, args=(True,))
    before, away = set(done()), set(closed())
    _sentence(place, page, before)
    st.session_state[BUILDING] = True
    try:
        yield
    finally:
        st.session_state[BUILDING] = False
    if done() != before or closed() != away:
        _sentence(place, page, before, again=True)


def _sentence(place: st.delta_generator.DeltaGenerator, page: str, before: set[str], again: bool = False) -> None:
    """Into `place`. before: what was done when this run began. again: it stands there already, in this run."""
    task, known = next_task(page), {task.name for task in possible()}
    count = f"{len(done() & known)} of {len(known)}"
    fresh = bool((done() - before) & known)
    if task is None:
        place.empty()  # where the network closes the rest
        if len(known) == len(tasks()):
            place.markdown(f"{ICONS[True]} **The tour is done,** all {len(known)} tasks.")
        return
    words = f"{ICONS[True]} {count} done. **Next:** {task.text}" if fresh else f"**Tour, {count} done.** {task.text}"
    if task.page != page:
        place.page_link(
            f"../pages/{task.page}.py", label=words, icon=":material/arrow_forward:", query_params=_query(task)
        )
    elif task.page == "lambda_layer" and state.current().step != task.step:  # links are read on arrival only
        place.button(
            words, icon=":material/arrow_forward:", type="tertiary", key=f"tour_open_{task.name}{again * '_again'}",
            on_click=_open, args=(task,),
        )  # fmt: skip
    else:
        place.markdown(words)


def show(selection: Selection) -> None:
    """The tasks with a tick on those done."""
    there = possible()
    st.subheader("Try it, one step at a time")
    left = len(tasks()) - len(there)
    left_out = f" Left out: {left}, which this network or this machine does not allow." if left else ""
    st.caption(
        f"{sum(task.name in done() for task in there)} of {len(there)} done. Each notices by itself; the ticks last "
        f"until you close this page or load it anew.{left_out}"
    )
    for number, task in enumerate(there, start=1):
        st.page_link(
            f"../pages/{task.page}.py", label=f"{number}. {task.text}", icon=ICONS[task.name in done()],
            query_params=state.to_query(replace(selection, step=task.step, cell="")),
        )  # fmt: skip
    if st.session_state.get(HIDDEN):
        st.button("Show the next task on every page", key="tour_unhide", on_click=_hide, args=(False,))
