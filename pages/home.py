"""What a lambda layer is, in one living picture, and the start of a tour."""

import streamlit as st

from explorer import allowed, canvas, formula, loading, places, sidebar, state, tour

PAGE = {
    "title": "Home", "group": "", "order": 0,
    "about": "What a lambda layer is, in one living picture.",
}  # fmt: skip

selection = sidebar.existing()
picture = sidebar.picture(selection)
allowed.note()
traced = loading.traced(picture, selection.layer)
selection = canvas.fitted(selection, traced)

everywhere = "content" in places.halves()
sums = "It sums the picture up" if everywhere else "For every pixel, it sums up what lies around it"

st.title("Look inside a lambda layer")
st.markdown(
    "A lambda layer lets every pixel use the whole picture without comparing all pairs of pixels. "
    f"{sums} in one small matrix, a **lambda**. Each pixel has a short list of numbers of its own, its **query**, and "
    "multiplies the matrix with it: that is what it takes from all the others. "
    "This one belongs to a trained network and runs on your picture: move over the photo."
)
canvas.show(picture, traced, key="overview", mode="overview")
tour.show(selection)
formula.show("content", traced.layer)
sidebar.controls(selection)
state.write_url(selection)
