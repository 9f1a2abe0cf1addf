"""Download buttons: the figure, the tensors, the program."""

from functools import partial

import streamlit as st

from explorer import exports, images, loading
from explorer.loading import Traced
from explorer.state import Selection
from lambda_core.data import square


def _figure(kind: str, selection: Selection, picture: images.Picture, traced: Traced, step: int | str) -> bytes:
    from explorer import plots  # matplotlib takes half a second to import: only who exports waits for it

    preprocess = loading.checkpoint().preprocess
    seen = square(picture.image, int(preprocess["size"]), preprocess.get("crop", 1.0))
    figure = plots.step_figure(
        traced.tensors, traced.layer, seen,
        row=selection.row, column=selection.column, step=step,
    )  # fmt: skip
    return plots.save(figure, kind)


def _snippet(selection: Selection, traced: Traced, step: int | str) -> str:
    write = exports.halves_snippet if step == "halves" else exports.snippet
    return write(
        network=loading.network_name(),
        picture=images.expression(selection.image),
        layer=selection.layer, width=traced.layer["width"],
        row=selection.row, column=selection.column, head=selection.head,
    )  # fmt: skip


def downloads(selection: Selection, picture: images.Picture, traced: Traced, view: str = "") -> None:
    """Figure as PNG or SVG, tensors as NPZ, and the Python that computes them; made when they are asked for.

    view: "halves" for content against position; else the step of the selection.
    """
    step = view or selection.step
    program = _snippet(selection, traced, step)
    name = f"lambda_{selection.layer.replace('.', '_')}_{selection.row + 1}_{selection.column + 1}"
    with st.popover("Export", icon=":material/download:", width="stretch"):
        for kind in ("png", "svg"):
            st.download_button(
                f"Figure, {kind.upper()}", partial(_figure, kind, selection, picture, traced, step),
                f"{name}.{kind}", key=f"export_{kind}", on_click="ignore", width="stretch",
            )  # fmt: skip
        st.download_button(
            "Tensors, NPZ", lambda: exports.npz(traced.tensors), f"{name}.npz",
            key="export_npz", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button(
            "Python", program, f"{name}.py",
            key="export_python", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.code(program, language="python", height=240)
