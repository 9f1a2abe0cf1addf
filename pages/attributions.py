"""Why did the network say so? Methods side by side, a brush, the halves of each lambda layer, and checks."""

import streamlit as st

from explorer import (
    allowed,
    attribution_brush,
    attribution_checks,
    attribution_exports,
    attribution_view,
    formula,
    places,
    sidebar,
    state,
)

PAGE = {
    "title": "Attributions", "group": "Inspect", "order": 2,
    "about": "Which parts of the picture made the network say so.",
}  # fmt: skip

selection = places.fitted(sidebar.existing(needs_layer=False))
picture = sidebar.picture(selection)
allowed.note()

st.title("Which part of the picture made it say so?")
question = attribution_view.ask(selection, picture)
names = attribution_view.methods()
place = st.container(key="attribution_status")
found = attribution_view.maps(question, names)
attribution_view.explain(names)

st.subheader("Brush a part away")
st.markdown(
    "Paint over what you believe the network looks at. When you lift the brush, the network answers again, "
    "without that part. If the logit stays, it did not need that part as long as it had the rest."
)
attribution_brush.brush(question, names, found)

attribution_checks.halves(question)

st.subheader("Can a map be trusted?")
attribution_checks.checks(question, names, found)
formula.show("output", halves=places.halves())

sidebar.controls(selection)
with st.sidebar:
    attribution_exports.downloads(question, selection, found)
state.write_url(state.current())
attribution_view.work(place, question, attribution_view.pending(question, names), found)
