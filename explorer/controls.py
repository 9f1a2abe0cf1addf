"""Plain twins of what the canvas offers: for a keyboard, a screen reader, and for tests without a browser."""

from dataclasses import replace

import streamlit as st

from explorer import state
from explorer.loading import Traced
from explorer.state import Selection

STEPS = (
    "Overview", "1 Feature map", "2 Queries, keys, values", "3 Softmax the keys", "4 Content lambda",
    "5 Position lambda", "6 Add the two", "7 Apply the query", "8 Implied attention",
)  # fmt: skip


def _move(name: str, base: int) -> None:
    state.choose(replace(state.current(), **{name: st.session_state[f"twin_{name}"] - base}))


def twins(selection: Selection, traced: Traced) -> None:
    """Step, row, column and head as Streamlit widgets. They follow the canvas, and the canvas follows them."""
    layer = traced.layer
    with st.expander("Pixel and step"):
        st.session_state["twin_step"] = selection.step
        st.selectbox(
            "Step", range(len(STEPS)), format_func=STEPS.__getitem__, key="twin_step", on_change=_move, args=("step", 0)
        )
        for name, count in (("row", layer["height"]), ("column", layer["width"]), ("head", layer["heads"])):
            if count < 2:
                continue
            st.session_state[f"twin_{name}"] = getattr(selection, name) + 1
            st.slider(name.capitalize(), 1, count, key=f"twin_{name}", on_change=_move, args=(name, 1))
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
