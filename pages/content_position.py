"""The content and the position half of a lambda layer side by side, and what the network answers without one."""

import streamlit as st

from explorer import allowed, canvas, controls, exporting, formula, halves, loading, sidebar, state, switches

PAGE = {
    "title": "Content against position", "group": "Understand", "order": 2,
    "about": "What the whole picture says to every pixel, and what changes with its place.",
}  # fmt: skip

selection = sidebar.existing()
picture = sidebar.picture(selection)
allowed.note()
traced = loading.traced(picture, selection.layer)
selection = canvas.fitted(selection, traced)
halves.show(picture, traced, key="halves")
halves.links(selection, traced)
formula.show("content", traced.layer)

st.subheader("Switch a half off")
st.markdown(switches.about())
switches.arrive()
switches.show(picture)
sidebar.controls(selection)
with st.sidebar:
    controls.twins(selection, traced, steps=False)
    exporting.downloads(selection, picture, traced, view="halves")
state.write_url(selection)
