"""Download buttons of the attributions page: the figure, the maps, the program."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from explorer import attributions, exporting, exports, images, loading, places
from explorer.attributions import Question
from explorer.state import Selection
from lambda_core.attribution import METHODS


def snippet(*, network: str, picture: str, target: int, layer: str, methods: list[str], lambdas: bool = True) -> str:
    """A program that computes the maps on show. picture: Python that gives a PIL image, see `images.expression`.

    lambdas: whether `layer` is a lambda layer, whose halves the program compares.
    """
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

{exports.libraries(picture)}
from lambda_core import load_checkpoint
from lambda_core.attribution import {used}
from lambda_core.data import prepare{exports.readers(picture)}

{exports.opening(network, picture)}
model, target = checkpoint.model, {target}

maps = {{
{calls}}}
for name, heat in maps.items():  # (H, W)
    row, column = divmod(int(heat.abs().argmax()), heat.shape[1])
    print(f"{{name:22}} hottest at row {{row + 1}}, column {{column + 1}}: {{heat[row, column]:+.4f}}")
{split}'''


def _figure(question: Question, found: Mapping[str, np.ndarray], kind: str) -> bytes:
    from explorer import attribution_plots, plots  # matplotlib: only who exports waits for it

    named = {METHODS[name].title: values for name, values in found.items()}
    signed = {METHODS[name].title: METHODS[name].signed for name in found}
    hues = {METHODS[name].title: attributions.hue(name) for name in found}
    return plots.save(attribution_plots.maps_figure(exporting.seen(question.picture), named, signed, hues), kind)


def downloads(question: Question, selection: Selection, found: Mapping[str, np.ndarray]) -> None:
    """Figure as PNG or SVG, maps as NPZ, and the Python that computes them; made when they are asked for."""
    program = snippet(
        network=loading.network_name(), picture=images.expression(selection.image),
        target=question.target, layer=question.layer, methods=list(found),
        lambdas=places.has_lambdas(),
    )  # fmt: skip
    sent = exporting.brought(selection, question.picture)
    figure = partial(_figure, question, found)
    exporting.popover(f"attributions_{question.target}", figure, found, program, sent, "Maps")
