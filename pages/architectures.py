"""Any network of the family block by block, the paper's tables recomputed, and how fast it runs here."""

import streamlit as st

from explorer import formula, paper_tables, speed, state, twins, workbench

PAGE = {
    "title": "Architectures", "group": "Measure", "order": 2,
    "about": "A network block by block: exchange one for a lambda layer, and see what it costs and saves.",
}  # fmt: skip

workbench.arrive()
paper_tables.arrive()
st.title("Which blocks should be lambda layers?")
st.markdown(
    "A ResNet is a row of blocks in four stages, c2 to c5, which other pages call Stage 1 to Stage 4. Each block has a "
    "3 × 3 convolution in its middle, and a lambda layer can stand in for it. Where maps are large, at the left, "
    "that costs most **FLOPs**, which are the multiplications and additions for one picture, and where they are wide, "
    "at the right, it saves most **parameters**. Which exchange pays off?"
)
workbench.show()
formula.show("cost")

st.subheader("How fast is it here?")
st.markdown(
    "FLOPs are not time. One button runs the network on this machine, forward and in a training step, in turn with the "
    "plain ResNet of the same depth."
)
speed.show()

st.subheader("Does it learn better than convolutions?")
st.markdown("A lambda network and its twin: the same network with a convolution in place of every lambda layer.")
twins.show()

st.subheader("The paper's tables, recomputed")
st.markdown(
    "Every number that a formula gives, as the paper printed it and as it comes out here. Click a number for its "
    "derivation, and a row's name to put that network on the bench above."
)
paper_tables.show()
state.write_url(state.current())
