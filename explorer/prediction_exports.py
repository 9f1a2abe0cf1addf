"""Download buttons of the predictions page: what is taken for what, and the program that answers for the picture."""

import csv
import io
from collections.abc import Sequence
from functools import partial

import streamlit as st

from explorer import exporting, exports, images, loading, measured, words
from explorer.networks import Opened
from explorer.state import Selection


def as_csv(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """A row a class, a column an answer; the numbers are photographs."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["class", *names])
    writer.writerows([name, *row] for name, row in zip(names, confusion, strict=True))
    return buffer.getvalue()


def snippet(*, network: str, picture: str) -> str:
    """A program that prints the likeliest classes. picture: Python that gives a PIL image, see `images.expression`."""
    return f'''"""The likeliest classes of one picture. Needs lambda_core."""

{exports.libraries(picture)}
from lambda_core import load_checkpoint
from lambda_core.predict import predict{exports.readers(picture)}

picture = {picture}{exports.note(picture)}
for found in predict(load_checkpoint({network!r}), picture):
    print(f"{{100 * found['probability']:5.1f}} %  {{found['class']}}")
'''


def downloads(selection: Selection, picture: images.Picture, network: Opened) -> None:
    """The program, the picture that it reads, and as CSV what the network took for what, once it is measured."""
    program = snippet(network=loading.network_name(), picture=images.expression(selection.image))
    with st.popover("Export", icon=":material/download:", width="stretch"):
        if found := measured.figures(network):
            names = words.class_names(network.checkpoint.classes, len(found["confusion"]))
            st.download_button(
                "What is taken for what, CSV", partial(as_csv, found["confusion"], names), "confusion.csv",
                key="export_csv", on_click="ignore", width="stretch",
            )  # fmt: skip
        st.download_button("Python", program, "predict.py", key="export_py", on_click="ignore", width="stretch")
        if sent := exporting.brought(selection, picture):
            st.download_button(
                "Picture, PNG", partial(images.png_bytes, sent.image), images.FILE, key="export_picture",
                on_click="ignore", width="stretch",
            )  # fmt: skip
        st.code(program, language="python", height=240)
