"""Download buttons of the scope page: its figure, what was measured, and the program that measures it again."""

from functools import partial

from explorer import exporting, exports, images, loading
from explorer.loading import Traced
from explorer.scoping import Measured, scopes
from explorer.state import Selection


def snippet(*, network: str, picture: str, layer: str, n: str, head: int, scope: int, part: str) -> str:
    """A program that prints the footprint of one pixel and the answer with E cropped, from the photograph up.

    network: a name of the zoo or a file. picture: Python that gives a PIL image. n: Python for the pixel's index.
    scope: r to crop to.
    """
    return f'''"""The footprint of one pixel of a lambda layer under a scope r, by autograd. Needs lambda_core."""

import torch
{exports.libraries(picture)}
from lambda_core import load_checkpoint
from lambda_core.data import prepare
from lambda_core.footprint import footprints{exports.readers(picture)}
from lambda_core.surgery import cropped_scope

{exports.opening(network, picture)}
layer = checkpoint.model.get_submodule({layer!r})

with cropped_scope(layer, {scope}):  # a scope as large as the layer's own changes nothing
    maps = footprints(checkpoint.model, x, {layer!r}, n={n}, head={head}, part={part!r})
    with torch.no_grad():
        logits = checkpoint.model(x)
print("positions that matter in the layer:", int((maps["layer"] > 0).sum()), "of", maps["layer"].numel())
print((maps["layer"] > 0).int())
best = logits[0].softmax(0).topk(3)
print([(int(i), round(float(p), 4)) for p, i in zip(*best)])
'''


def _figure(selection: Selection, picture: images.Picture, traced: Traced, found: Measured, kind: str) -> bytes:
    from explorer import plots, scope_figure  # matplotlib takes half a second to import: only who exports waits for it

    figure = scope_figure.scope_figure(
        traced.tensors, found.tensors, traced.layer, exporting.seen(picture),
        row=selection.row, column=selection.column, head=selection.head,
        scope=selection.scope or scopes(traced.layer)[0],
    )  # fmt: skip
    return plots.save(figure, kind)


def downloads(selection: Selection, picture: images.Picture, traced: Traced, found: Measured, part: str) -> None:
    """Figure as PNG or SVG, measured tensors as NPZ, and Python; made when they are asked for."""
    program = snippet(
        network=loading.network_name(), picture=images.expression(selection.image), layer=selection.layer,
        n=f"{selection.row} * {traced.layer['width']} + {selection.column}", head=selection.head,
        scope=selection.scope or scopes(traced.layer)[0] or 1, part=part,
    )  # fmt: skip
    name = f"scope_{selection.layer.replace('.', '_')}_{selection.row + 1}_{selection.column + 1}_r{selection.scope}"
    figure = partial(_figure, selection, picture, traced, found)
    exporting.popover(name, figure, found.tensors, program, exporting.brought(selection, picture))
