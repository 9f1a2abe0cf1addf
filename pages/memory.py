"""Memory and operations of attention and lambda layers over their sizes, measured here, and the paper's table."""

import streamlit as st

from explorer import formula, memory_paper, memory_view, state

PAGE = {
    "title": "Memory and time", "group": "Measure", "order": 1,
    "about": "What attention and lambda layers store and compute as pictures grow, and what they take on this machine.",
}  # fmt: skip

memory_view.arrive()
st.title("When does attention stop fitting?")
st.markdown(
    "Self-attention gives every **pair** of pixels a weight, and training has to keep these weights: twice the side of "
    "the map is sixteen times the memory, for every image of the batch and every head. A lambda layer sums the picture "
    "up and keeps no pairs. Drag a size until attention crosses the line of this machine."
)
memory_view.show()
formula.show("cost")

st.subheader("Do the formulas hold here?")
st.markdown(
    "One button runs the real layers, forward and backward, in a process of its own. What they keep becomes a dot on "
    "the curve. What would not fit is not tried."
)
memory_view.measured()

st.subheader("The paper's table, recomputed")
memory_paper.show()
state.write_url(state.current())
