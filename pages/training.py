"""Train a small lambda network here, watch its lambdas form, and take it to any page."""

import streamlit as st

from explorer import classroom, formula, jobs, state

PAGE = {"title": "Training", "group": "Train", "order": 0}

st.title("Train a small lambda network")
job = jobs.find(st.query_params.get("run"))
if job is None:
    st.markdown(
        "A network of three stages learns to read handwritten digits, here, in about a minute. Its kernels **E** "
        "start as noise. What shape will they take? Choose, start, and watch; pause when you like, and step through "
        "the half-trained network on any page."
    )
    classroom.order()
else:
    classroom.watch(job)
formula.show("position")
state.write_url(state.current())
