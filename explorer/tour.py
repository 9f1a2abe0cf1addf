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


TASKS = (
    Task("overview", "Move over the photo: see which of the two tables stays as it is.", 0),
    Task("softmax", "Find the key that looks at one small spot.", 3),
    Task("position", "Take the pixel to the rim of the photo and see what its window loses.", 5),
    Task("apply", "Open one number of the output and follow its sum.", 7),
)


def show(selection: Selection) -> None:
    """The tasks with a tick on those done."""
    done = st.session_state.get("tasks_done", set())
    st.subheader("Try it, one step at a time")
    for number, task in enumerate(TASKS, start=1):
        ticked = task.name in done
        st.page_link(
            "../pages/lambda_layer.py",
            label=f"{number}. {task.text}",
            icon=":material/check_circle:" if ticked else ":material/radio_button_unchecked:",
            query_params=state.to_query(replace(selection, step=task.step, cell="")),
        )
