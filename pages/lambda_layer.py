"""Step through one lambda layer of a trained network, on any picture."""

import streamlit as st

from explorer import allowed, canvas, controls, exporting, formula, loading, sidebar, state

PAGE = {
    "title": "Step through a layer", "group": "Understand", "order": 1,
    "about": "From the feature map to the output of one pixel, in eight steps, with every number.",
}  # fmt: skip

selection = sidebar.existing()
picture = sidebar.picture(selection)
allowed.note()
traced = loading.traced(picture, selection.layer)
selection = canvas.fitted(selection, traced)
canvas.show(picture, traced, key="steps")
formula.show(formula.OF_STEP[selection.step], traced.layer)
sidebar.controls(selection)
with st.sidebar:
    controls.twins(selection, traced)
    exporting.downloads(selection, picture, traced)
state.write_url(selection)
