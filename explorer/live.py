"""The live page's conversation with the browser: a frame comes, an answer goes, and nothing is kept of either.

The one picture that stays is the frame that the visitor freezes: it is then the camera's still, for this session.
"""

import base64
import binascii
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from explorer import images, loading, look, measured, networks, places, sidebar, state, verdict, words
from explorer.components.camera import camera
from explorer.look import OVERLAYS, PINNED
from lambda_core.data import prepare
from lambda_core.evaluation import softmax

KEY = "live_camera"
LARGEST = 2**20  # characters of a frame; one at 512 x 512 px has about 150,000
TOP = 5
STILL_SIDE = 512


@dataclass(frozen=True)
class Wish:
    """What is to lie on the picture: one of OVERLAYS, and for weights the head."""

    overlay: str
    head: int = 0


def overlays() -> list[str]:
    """Names of OVERLAYS that this session's network can show: weights of a pixel by the halves that there are."""
    halves = places.halves()
    shown = {*halves, "sum"} if len(halves) == 2 else set(halves)
    return [name for name in OVERLAYS if name not in PINNED or name in shown]


def wish() -> Wish:
    """What the widgets of the page say; the head from the selection that all pages share."""
    asked = st.session_state.get("live_overlay")
    return Wish(asked if asked in overlays() else overlays()[-1], state.current().head)


def decoded(text: Any) -> images.Picture:
    """The picture in a frame that the browser sent. Raises ImageRefused for anything else."""
    if not isinstance(text, str) or len(text) > LARGEST:
        raise images.ImageRefused("The browser sent no frame that can be read; start the camera again.")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise images.ImageRefused("The browser sent a damaged frame; start the camera again.") from error
    return images.read_image(content, name="Your camera")


def answer(picture: Image.Image, asked: Wish, number: int) -> dict[str, Any]:
    """What the browser is told about a picture: the likeliest classes, the map to lay on it, the pinned pixel."""
    started, chosen, network = perf_counter(), places.fitted(state.current()), loading.checkpoint()
    x = prepare(picture, network.preprocess)
    with loading.LOCK:
        seen = look.look(
            network.model, x, chosen.layer,
            overlay=asked.overlay, row=chosen.row, column=chosen.column, head=asked.head,
        )  # fmt: skip
    likely = softmax(seen.answers.logits)[0]
    order = map(int, np.argsort(-likely)[:TOP])
    top: list[dict[str, Any]] = [{"name": words.class_name(network.classes, i), "p": float(likely[i])} for i in order]
    return {
        "number": number,
        "top": top,
        "unlike": verdict.unlike(seen.answers, measured.mark(networks.first()), len(likely)),
        "heat": None if seen.heat is None else _heat(seen.heat, asked, top[0]["name"]),
        "grid": seen.grid,
        "pinned": asked.overlay in PINNED,
        "pin": {"row": chosen.row, "column": chosen.column, "version": state.version()},
        "ms": 1000 * (perf_counter() - started),
    }


def _heat(heat: np.ndarray, asked: Wish, likeliest: str) -> dict[str, Any]:
    """A map for the browser, in 255 levels from -limit to limit; Grad-CAM in the unit that Attributions has."""
    most = float(np.abs(heat).max()) or 1.0
    limit = most / (float(np.abs(heat).mean()) or 1.0) if asked.overlay == "gradcam" else most
    title = {
        "gradcam": f"what speaks for {likeliest}, × the mean size",
        "content": f"content weights of the pinned pixel, head {asked.head + 1}",
        "position": f"position weights of the pinned pixel, head {asked.head + 1}",
        "sum": f"content and position weights of the pinned pixel, head {asked.head + 1}",
    }[asked.overlay]
    return {
        "height": heat.shape[0], "width": heat.shape[1], "limit": limit,
        "data": np.rint(heat.ravel() * (127 / most)).astype(int).tolist(),
        "hue": OVERLAYS[asked.overlay][1], "signed": asked.overlay != "gradcam", "title": title,
    }  # fmt: skip


def _on_frame() -> None:
    """Answer a frame; where it is to be frozen, it becomes the session's camera picture."""
    frame = st.session_state[KEY].get("frame") or {}
    number = frame.get("number")
    if not isinstance(number, int):
        return
    row, column = frame.get("row"), frame.get("column")
    if isinstance(row, int) and isinstance(column, int):
        row, column = (min(max(place, 0), 999) for place in (row, column))
        state.choose(state.moved(state.current(), row=row, column=column), from_canvas=True)
    if frame.get("jpeg") is None:  # a pixel was pinned on the still, which is answered when the page is drawn
        return
    st.session_state["live_status"] = "live"  # a status is lost where a frame overtakes it: Streamlit keeps the later
    try:
        picture = decoded(frame["jpeg"])
    except images.ImageRefused as error:
        st.session_state["live_answer"] = {"number": number, "refused": str(error)}
        return
    if frame.get("freeze"):
        sidebar.keep("camera", picture)
    st.session_state["live_answer"] = answer(picture.image, wish(), number)


def _on_status() -> None:
    st.session_state["live_status"] = st.session_state[KEY].get("status") or "still"
    st.session_state.pop("live_answer", None)


def status() -> str:
    """What the browser said last of its camera: "still", "live", or why there is none."""
    return st.session_state.get("live_status", "still")


def show() -> None:
    """Draw the camera. While it runs, only what the browser does not know is sent: the answer."""
    live, asked, chosen = status() == "live", wish(), state.current()
    data: dict[str, Any] = {
        "side": int(loading.checkpoint().preprocess["size"]),
        "wish": f"{asked.overlay} {asked.head} {chosen.layer}",
        "still": None,
        "answer": st.session_state.get("live_answer"),
    }
    if not live:
        picture = sidebar.picture(chosen)
        key = f"{picture.key} {loading.network_key()}"  # another network may take other pixels of the same picture
        data["still"] = {"jpeg": loading.jpeg(picture, STILL_SIDE), "title": picture.title, "key": key}
        data["answer"] = answer(picture.image, asked, 0)
    camera(data, key=KEY, on_frame_change=_on_frame, on_status_change=_on_status)
