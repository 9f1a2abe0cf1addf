"""Download buttons: the figure, the tensors, the program."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from explorer import cell_program, exports, images, loading
from explorer.loading import Traced
from explorer.state import Selection
from lambda_core.data import framing, square

FIRST_TABLE = 4  # the first step whose numbers open


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


def _cell(selection: Selection, step: int | str) -> str:
    """The matrix whose cell is open, as the canvas has it: in the steps that have a table."""
    return selection.cell if isinstance(step, int) and step >= FIRST_TABLE else ""


def _figure(selection: Selection, picture: images.Picture, traced: Traced, step: int | str, kind: str) -> bytes:
    from explorer import cell_figure, plots  # matplotlib takes half a second to import: only who exports waits for it

    if cell := _cell(selection, step):
        figure = cell_figure.cell_figure(
            traced.tensors, traced.layer, seen(picture), row=selection.row, column=selection.column,
            cell=cell, head=selection.head, key=selection.key, value=selection.value,
        )  # fmt: skip
    else:
        figure = plots.step_figure(
            traced.tensors, traced.layer, seen(picture), row=selection.row, column=selection.column, step=step
        )
    return plots.save(figure, kind)


def _snippet(selection: Selection, traced: Traced, step: int | str) -> str:
    where: dict[str, Any] = {
        "network": loading.network_name(), "picture": images.expression(selection.image), "layer": selection.layer,
        "width": traced.layer["width"], "row": selection.row, "column": selection.column, "head": selection.head,
    }  # fmt: skip
    if cell := _cell(selection, step):
        return cell_program.snippet(**where, cell=cell, key=selection.key, value=selection.value)
    return exports.halves_snippet(**where) if step == "halves" else exports.snippet(**where)


def file_name(selection: Selection, step: int | str) -> str:
    """Of an export, without its ending: layer, pixel, and what of it, so that no two views have one name."""
    parts = ["lambda", selection.layer.replace(".", "_"), str(selection.row + 1), str(selection.column + 1)]
    parts.append(str(step) if isinstance(step, str) else f"step{step}")
    if cell := _cell(selection, step):
        row = selection.head if cell == "output" else selection.key
        parts += [cell, str(row + 1), str(selection.value + 1)]
    return "_".join(parts)


def downloads(selection: Selection, picture: images.Picture, traced: Traced, view: str = "") -> None:
    """Figure as PNG or SVG, tensors as NPZ, and the Python that computes them; made when they are asked for.

    view: "halves" for content against position; else the step of the selection.
    """
    step = view or selection.step
    program = _snippet(selection, traced, step)
    figure = partial(_figure, selection, picture, traced, step)
    popover(file_name(selection, step), figure, traced.tensors, program, brought(selection, picture))
