"""What networks answer: on your picture, on a validation set, side by side; and which network every page shows."""

import streamlit as st

from explorer import (
    allowed,
    beside,
    card,
    formula,
    networks,
    places,
    prediction_exports,
    sidebar,
    state,
    verdict,
    whole_set,
)

PAGE = {
    "title": "Predictions", "group": "Inspect", "order": 1,
    "about": "What a network answers, how sure it is, and where it is wrong.",
}  # fmt: skip

selection = sidebar.existing(needs_layer=False)
picture = sidebar.picture(selection)
allowed.note()
beside.arrive()

st.title("What the network answers")
with st.container(horizontal=True, gap="large"):
    with st.container(width=470):
        networks.choose("first", "Network, on every page")
    with st.container(width=470):
        networks.choose("second", "Compare with")
shown = [network for network in (networks.first(), networks.second()) if network]
verdict.show(picture, shown)


@st.fragment
def on_the_set() -> None:
    whole_set.show(shown)


st.subheader("On the validation set")
on_the_set()
st.subheader("Model card")
card.show(shown)
formula.show("output", halves=places.halves())
sidebar.controls(selection)
with st.sidebar:
    prediction_exports.downloads(selection, picture, shown[0])
state.write_url(selection)
beside.write_url()
