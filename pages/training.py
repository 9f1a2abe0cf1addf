"""Train a small lambda network here, watch its lambdas form, and take it to any page."""

import streamlit as st

from explorer import classroom, formula, ordering, state

PAGE = {
    "title": "Training", "group": "Train", "order": 0,
    "about": "Train a small lambda network here, and watch its kernels form.",
}  # fmt: skip

st.title("Train a small lambda network")
job = classroom.current()
if job is None:
    st.markdown(
        "A network learns from pictures with known answers: it guesses, is told the answer, and changes its weights a "
        "little, thousands of times. Its lambda layers start as noise. What will they come to look for? "
        "Start it, watch, pause when you like, and step through the half-trained network on any page."
    )
    classroom.way_back()
    halves = ordering.order()
else:
    halves = classroom.watch(job)
formula.show("position", halves=halves)
state.write_url(state.current())
