"""Download buttons: the figure, the tensors, the program."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import streamlit as st
from PIL import Image

from explorer import exports, images, loading
from explorer.loading import Traced
from explorer.state import Selection
from lambda_core.data import framing, square


def seen(picture: images.Picture) -> Image.Image:
    """What the network takes of a picture, in its size."""
    preprocess = loading.checkpoint().preprocess
    return square(picture.image, int(preprocess["size"]), **framing(preprocess))


def brought(selection: Selection, picture: images.Picture) -> images.Picture | None:
    """The picture, where it is none of the gallery: a program needs it as a file."""
    return None if selection.image in images.GALLERY else picture


def popover(
    name: str, figure: Callable[[str], bytes], arrays: Mapping[str, np.ndarray], program: str,
    sent: images.Picture | None, what: str = "Tensors",
) -> None:  # fmt: skip
    """Figure as PNG or SVG, `arrays` as NPZ, a program and the picture that it reads; made when they are asked for.

    name: of the files. figure: makes it, of the kind "png" or "svg". sent: see `brought`. what: the arrays are called.
    """
    files: dict[str, tuple[Callable[[], bytes] | str, str]] = {
        f"Figure, {kind.upper()}": (partial(figure, kind), kind) for kind in ("png", "svg")
    }
    files |= {f"{what}, NPZ": (partial(exports.npz, arrays), "npz"), "Python": (program, "py")}
    with st.popover("Export", icon=":material/download:", width="stretch"):
        for label, (content, ending) in files.items():
            st.download_button(
                label, content, f"{name}.{ending}", key=f"export_{ending}", on_click="ignore", width="stretch"
            )
        if sent:
            st.download_button(
                "Picture, PNG", partial(images.png_bytes, sent.image), images.FILE, key="export_picture",
                on_click="ignore", width="stretch",
            )  # fmt: skip
        st.code(program, language="python", height=240)


def _figure(selection: Selection, picture: images.Picture, traced: Traced, step: int | str, kind: str) -> bytes:
    from explorer import cell_figure, plots  # matplotlib takes half a second to import: only who exports waits for it

    if selection.cell and step != "halves":
        figure = cell_figure.cell_figure(
            traced.tensors, traced.layer, seen(picture), row=selection.row, column=selection.column,
            cell=selection.cell, head=selection.head, key=selection.key, value=selection.value,
        )  # fmt: skip
    else:
        figure = plots.step_figure(
            traced.tensors, traced.layer, seen(picture), row=selection.row, column=selection.column, step=step
        )
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
    figure = partial(_figure, selection, picture, traced, step)
    popover(name, figure, traced.tensors, program, brought(selection, picture))
