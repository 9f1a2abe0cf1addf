"""The camera through the network: predictions, Grad-CAM and the weights of a pinned pixel on the moving picture."""

from dataclasses import replace

import streamlit as st

from explorer import allowed, canvas, formula, live, loading, navigation, places, sidebar, state
from explorer.look import OVERLAYS, PINNED

PAGE = {
    "title": "Live", "group": "Inspect", "order": 3,
    "about": "Your camera through the network, frame by frame.",
}  # fmt: skip

FURTHER = {  # pages that show the frozen frame, by file
    "lambda_layer": "Step through the layer",
    "content_position": "Content and position apart",
    "scope": "How far it looks",
    "attributions": "Attributions",
    "predictions": "Predictions",
}
PLAIN = ("attributions", "predictions")  # those that need no lambda layer
PIN = "Click on the picture to pin a pixel: the map shows how much that pixel takes from each position."
TOLD = {  # of what lies on the picture; the others show weights of a pixel
    "none": "Nothing lies on the picture: you see the answer of the network alone.",
    "gradcam": "Grad-CAM shows what in the picture speaks for the likeliest class.",
}


def choose_head() -> None:
    if (head := st.session_state["live_head"]) is not None:  # None from a browser that has just left the page
        state.choose(replace(state.current(), head=head))


def follow(key: str, value: str | int) -> None:
    """Set a widget of stage(), where it does not say so itself: frames run stage() all the time, and a value that is
    set anew reaches the browser after the visitor's click, and takes it back."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value


@st.fragment
def stage() -> None:
    """Everything that follows the camera; a frame reruns this and nothing else."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        follow("live_overlay", live.wish().overlay)
        overlay = st.segmented_control(
            "On the picture", live.overlays(), format_func=lambda name: OVERLAYS[name][0],
            key="live_overlay", required=True,
        )  # fmt: skip
        if overlay in PINNED and heads > 1:
            follow("live_head", min(state.current().head, heads - 1))
            st.segmented_control(
                "Head", range(heads), format_func=lambda head: str(head + 1),
                key="live_head", on_change=choose_head, required=True,
            )  # fmt: skip
    st.markdown(TOLD.get(overlay or "", PIN))
    live.show()
    if live.status() in ("denied", "absent", "busy", "insecure"):
        st.file_uploader(
            "A picture instead", key="live_upload", on_change=sidebar.receive, args=("upload", "live_upload"),
            max_upload_size=30,
        )  # fmt: skip
        if message := st.session_state.get("picture_message"):
            st.info(message)
    state.write_url(state.current())
    if sidebar.picture(state.current()).key != picture.key:  # frozen or uploaded: the sidebar has to show it
        st.rerun()


selection = places.fitted(sidebar.existing(needs_layer=False))
picture = sidebar.picture(selection)
allowed.note()
heads, layer, lambdas = 1, None, places.has_lambdas()
if lambdas:
    traced = loading.traced(picture, selection.layer)
    selection = canvas.fitted(selection, traced)
    heads, layer = traced.layer["heads"], traced.layer

st.title("A lambda layer, live" if lambdas else "The network, live")
st.markdown("Start the camera and hold something up. Freeze a frame to take it to any other page.")
if not lambdas:
    st.markdown("This network has no lambda layer, so there are no weights of a pixel to show.")
    places.choose(selection, "Block that Grad-CAM looks at", "live_layer")
with st.container(key="live_stage"):
    stage()
if selection.image == "camera":
    st.markdown("**The frozen frame on other pages**")
    with st.container(horizontal=True, gap="medium"):
        for file, label in FURTHER.items():
            if (lambdas or file in PLAIN) and (navigation.PAGES / f"{file}.py").exists():
                st.page_link(f"../pages/{file}.py", label=label, query_params=state.to_query(state.current()))
st.caption(
    "Frames go to this app's own server and nowhere else. Each is answered and forgotten; "
    "only a frame that you freeze is kept, in the memory of this server until others take its place there."
)
formula.show("attention", layer, places.halves())
sidebar.controls(selection)
state.write_url(state.current())
