"""How far a lambda layer reaches: its window drawn and measured, cropped, through depth, and what it costs."""

import streamlit as st

from explorer import (
    allowed,
    canvas,
    formula,
    loading,
    scope_exports,
    scope_kernels,
    scope_sections,
    scoping,
    sidebar,
    state,
)

PAGE = {
    "title": "Scope", "group": "Understand", "order": 3,
    "about": "How far a pixel sees: the window of a layer drawn, measured and cropped.",
}  # fmt: skip

selection = sidebar.existing()
picture = sidebar.picture(selection)
allowed.note()
traced = loading.traced(picture, selection.layer)
selection = scoping.fitted(canvas.fitted(selection, traced), traced)
found = scoping.show(picture, traced, selection)
formula.show("position", traced.layer)
sidebar.controls(selection)
with st.sidebar:
    scoping.twins(selection, traced, found)
    scope_exports.downloads(selection, picture, traced, found, scoping.part_shown(traced))
state.write_url(selection)
scope_kernels.show(selection)
scope_sections.depth(picture)
scope_sections.cost()
