"""Plain twins of what the canvas offers: for a keyboard, a screen reader, and for tests without a browser."""

import streamlit as st

from explorer import state
from explorer.loading import Traced
from explorer.state import Selection

STEPS = (
    "Overview", "1 Feature map", "2 Queries, keys, values", "3 {keys}", "4 Content lambda",
    "5 Position lambda", "6 Add the two", "7 Apply the query", "8 Implied attention",
)  # fmt: skip
KEYS = {"l2": "Scale the keys", "none": "Keys as they are"}  # by the layer's norm, as the canvas calls its third step

COUNTS = {"row": "height", "column": "width", "head": "heads"}  # selection -> the layer's setting that bounds it
CELL = {"key": "dim_k", "value": "dim_v"}  # of the number of a table that Enter opens on the canvas


def _apply(names: tuple[str, ...]) -> None:
    chosen = {name: st.session_state[f"twin_{name}"] - (name in state.COUNTED) for name in names}
    state.choose(state.moved(state.current(), **chosen))


def twins(selection: Selection, traced: Traced, *, steps: bool = True) -> None:
    """Step, row, column, head, key and value as Streamlit widgets, which follow the canvas.

    steps: whether the page has steps, whose numbers can be opened by key and value.

    They are a form, sent as a whole: while the canvas leads, a widget that the browser has not yet brought up to date
    would otherwise be taken for one that the visitor moved back.
    """
    with st.expander("Pixel and step" if steps else "Pixel and head"), st.form("twins", border=False):
        names = []
        if steps:
            st.session_state["twin_step"] = selection.step
            titles = [step.format(keys=KEYS.get(traced.layer["key_norm"], "Softmax the keys")) for step in STEPS]
            st.selectbox("Step", range(len(STEPS)), format_func=titles.__getitem__, key="twin_step")
            names.append("step")
        for name, setting in (COUNTS | CELL if steps else COUNTS).items():
            if traced.layer[setting] > 1:
                st.session_state[f"twin_{name}"] = getattr(selection, name) + 1
                st.slider(name.capitalize(), 1, traced.layer[setting], key=f"twin_{name}")
                names.append(name)
        st.form_submit_button("Show", on_click=_apply, args=(tuple(names),), width="stretch")
        st.caption(_numbers(selection, traced))


def _numbers(selection: Selection, traced: Traced) -> str:
    """The output of the selected pixel and head, as text."""
    tensors, layer = traced.tensors, traced.layer
    n = selection.row * layer["width"] + selection.column
    position = tensors["position_lambda"]
    lambda_n = tensors["content_lambda"] + (position[n] if position.ndim == 3 else position)
    output = tensors["q"][selection.head, n] @ lambda_n
    shown = ", ".join(f"{number:.3f}".replace("-", "−") for number in output[:4])
    return f"y of head {selection.head + 1}, first 4 of {len(output)} values: {shown}"
