"""What leaves the explorer: tensors as NPZ, and a program that computes them again. No streamlit."""

import io
from collections.abc import Mapping

import numpy as np

from explorer.images import FILE


def npz(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The traced tensors of a layer, by name, without the batch axis."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **tensors)  # type: ignore[arg-type]
    return buffer.getvalue()


def note(picture: str) -> str:
    """What to do for `picture` in a program that reads it from a file."""
    return f"  # the export has this file too, as “Picture, PNG”: save it as {FILE}" if FILE in picture else ""


def opening(network: str, picture: str) -> str:
    """The lines of a program that open a network and prepare a picture: `checkpoint`, and x (1, 3, H, W).

    network: a name of the zoo or a file. picture: Python that gives a PIL image, see `images.expression`.
    """
    return f"""checkpoint = load_checkpoint({network!r})
picture = {picture}{note(picture)}
x = prepare(picture, checkpoint.preprocess)  # (1, 3, H, W)"""


def libraries(picture: str) -> str:
    """The imports that `picture` needs from elsewhere."""
    return "from PIL import Image\nfrom skimage import data\n" if "data." in picture else ""


def readers(picture: str) -> str:
    """The imports that `picture` needs from lambda_core, on lines of their own, after others of lambda_core."""
    return "\nfrom lambda_core.pictures import read_upright" if "read_upright" in picture else ""


def snippet(*, network: str, picture: str, layer: str, width: int, row: int, column: int, head: int) -> str:
    """A program that prints y of one pixel and one head, from the photograph up.

    network: a name of the zoo or a file. picture: Python that gives a PIL image, see `images.expression`.
    """
    return f'''"""One pixel of one lambda layer, from the photograph up. Needs lambda_core."""

import torch
{libraries(picture)}
from lambda_core import load_checkpoint, trace
from lambda_core.data import prepare{readers(picture)}

{opening(network, picture)}

prefix = {layer + "."!r}
taps = trace(checkpoint.model, x).items()
tensors = {{name.removeprefix(prefix): tap[0] for name, tap in taps if name.startswith(prefix)}}
layer = checkpoint.model.get_submodule({layer!r})
tensors |= {{name: p.detach() for name, p in layer.named_parameters(recurse=False)}}  # E
# numpy.savez("lambda.npz", **tensors) writes what the export holds

n, head = {row} * {width} + {column}, {head}  # row {row + 1}, column {column + 1}, head {head + 1}
position = tensors["position_lambda"][n] if "position_lambda" in tensors else 0
lambda_n = tensors.get("content_lambda", 0) + position  # (k, v)
y = torch.einsum("k,kv->v", tensors["q"][head, n], lambda_n)
print([round(number, 4) for number in y.tolist()])
'''


def halves_snippet(*, network: str, picture: str, layer: str, width: int, row: int, column: int, head: int) -> str:
    """A program that prints both halves of y of one pixel and head, and the answer without either half.

    network: a name of the zoo or a file. picture: Python that gives a PIL image, see `images.expression`.
    """
    return f'''"""The content and the position half of one lambda layer, and of the answer. Needs lambda_core."""

import torch
{libraries(picture)}
from lambda_core import load_checkpoint, trace
from lambda_core.data import prepare{readers(picture)}
from lambda_core.switching import everywhere, switched

{opening(network, picture)}

taps = {{name.removeprefix({layer + "."!r}): t[0] for name, t in trace(checkpoint.model, x).items()}}
n, head = {row} * {width} + {column}, {head}  # row {row + 1}, column {column + 1}, head {head + 1}
for half in ("content", "position"):
    y = taps.get(f"{{half}}_output")  # (h, n, v)
    if y is not None:
        print(half, [round(number, 4) for number in y[head, n].tolist()])

for half in ("content", "position"):
    with torch.no_grad(), switched(checkpoint.model, everywhere(checkpoint.model, half)):
        best = checkpoint.model(x)[0].softmax(0).topk(3)
    print("without", half, [(int(i), round(float(p), 4)) for p, i in zip(*best)])
'''
