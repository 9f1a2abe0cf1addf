"""Download buttons of the attributions page: the figure, the maps, the program."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import streamlit as st

from explorer import exports, images, loading, places
from explorer.attributions import Question
from explorer.state import Selection
from lambda_core.attribution import METHODS
from lambda_core.data import square


def snippet(*, network: str, picture: str, target: int, layer: str, methods: list[str], lambdas: bool = True) -> str:
    """A program that computes the maps on show. picture: Python that gives a PIL image, see `images.expression`.

    lambdas: whether `layer` is a lambda layer, whose halves the program compares.
    """
    gallery = "from skimage import data\n" if "data." in picture else ""
    calls = "".join(
        f'    "{name}": attribute(model, x, target, method="{name}"'
        + (f", layer={layer!r}" if METHODS[name].layered else "")
        + ")[0],\n"
        for name in methods
    )
    about, used, split = "", "attribute", ""
    if lambdas:
        about, used = ", and the shares of a layer's halves", "attribute, halves"
        split = f"""shares = halves(model, x, target, {layer!r})
print(f"content {{shares.content.sum():+.3f}}, position {{shares.position.sum():+.3f}}, error {{shares.error:+.4f}}")
"""
    return f'''"""Attribution maps of one picture{about}. Needs lambda_core and captum."""

from PIL import Image
{gallery}
from lambda_core import load_checkpoint
from lambda_core.attribution import {used}
from lambda_core.data import prepare

checkpoint = load_checkpoint({network!r})
model, target = checkpoint.model, {target}
picture = {picture}
x = prepare(picture, checkpoint.preprocess)  # (1, 3, H, W)

maps = {{
{calls}}}
for name, heat in maps.items():  # (H, W)
    row, column = divmod(int(heat.abs().argmax()), heat.shape[1])
    print(f"{{name:22}} hottest at row {{row + 1}}, column {{column + 1}}: {{heat[row, column]:+.4f}}")
{split}'''


def _figure(kind: str, question: Question, found: Mapping[str, np.ndarray]) -> bytes:
    from explorer import attribution_plots, plots  # matplotlib: only who exports waits for it

    preprocess = loading.checkpoint().preprocess
    photo = square(question.picture.image, int(preprocess["size"]), preprocess.get("crop", 1.0))
    named = {METHODS[name].title: values for name, values in found.items()}
    signed = {METHODS[name].title: METHODS[name].signed for name in found}
    return plots.save(attribution_plots.maps_figure(photo, named, signed), kind)


def downloads(question: Question, selection: Selection, found: Mapping[str, np.ndarray]) -> None:
    """Figure as PNG or SVG, maps as NPZ, and the Python that computes them; made when they are asked for."""
    program = snippet(
        network=loading.network_name(), picture=images.expression(selection.image),
        target=question.target, layer=question.layer, methods=list(found),
        lambdas=places.has_lambdas(),
    )  # fmt: skip
    name = f"attributions_{question.target}"
    with st.popover("Export", icon=":material/download:", width="stretch"):
        for kind in ("png", "svg"):
            st.download_button(
                f"Figure, {kind.upper()}", partial(_figure, kind, question, found), f"{name}.{kind}",
                key=f"export_{kind}", on_click="ignore", width="stretch",
            )  # fmt: skip
        st.download_button(
            "Maps, NPZ", lambda: exports.npz(found), f"{name}.npz",
            key="export_npz", on_click="ignore", width="stretch",
        )  # fmt: skip
        st.download_button("Python", program, f"{name}.py", key="export_python", on_click="ignore", width="stretch")
        st.code(program, language="python", height=240)
