"""The guided tour: short tasks, each a link, each noticing when it is done."""

from dataclasses import dataclass, replace

import streamlit as st

from explorer import state
from explorer.state import Selection


@dataclass(frozen=True)
class Task:
    """One thing to do on a page. `step` opens it there; the canvas reports `name` when it is done."""

    name: str
    text: str
    step: int
    page: str = "lambda_layer"


TASKS = (
    Task("overview", "Move the pixel over the photo: one table stays, one changes. Which?", 0),
    Task("keys", "Find the key with the largest single weight.", 3),
    Task("content", "Move the pixel far away and see that the content lambda does not care.", 4),
    Task("position", "Take the pixel to the rim, where its window is cut off.", 5),
    Task("sum", "Open one number of λ and find the position that adds most to it.", 6),
    Task("attention", "Lay the content weights on the photo, then the position weights.", 8),
    Task("halves_switch", "Switch halves off until the network changes its answer.", 0, "content_position"),
)  # `name` is the id that the canvas gives the task of that step


def show(selection: Selection) -> None:
    """The tasks with a tick on those done."""
    done = st.session_state.get("tasks_done", set())
    st.subheader("Try it, one step at a time")
    for number, task in enumerate(TASKS, start=1):
        ticked = task.name in done
        st.page_link(
            f"../pages/{task.page}.py",
            label=f"{number}. {task.text}",
            icon=":material/check_circle:" if ticked else ":material/radio_button_unchecked:",
            query_params=state.to_query(replace(selection, step=task.step, cell="")),
        )
