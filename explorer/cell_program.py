"""The program of an open cell: one number of a lambda, or of an output, with the products that it is the sum of."""

from explorer import exports

SIGNS = {"content_lambda": "λc", "position_lambda": "λp", "lambda": "λ", "output": "y"}
WITHOUT = {"content_lambda": "position", "position_lambda": "content"}  # the half that a cell takes nothing from
LARGEST = 6  # products, as the page numbers them
KEYS = """
if "keys" in tensors:  # K̄, (m, k, u)
    weights += torch.einsum("k,mku->mu", row, tensors["keys"])
"""
KERNELS = """
if "embeddings" in tensors:  # E as the pixel sees it, (k, u, m)
    weights += torch.einsum("k,kum->mu", row, around(tensors["embeddings"], tensors["input"].shape[1:], n))
if "position_bias" in tensors:
    constant = row @ tensors["position_bias"]
"""


def title(cell: str, head: int, key: int, value: int) -> str:
    """The cell as its program calls it: "λ[3, 5]" is key 3, value 5, "y[1, 5]" head 1, value 5."""
    return f"{SIGNS[cell]}[{(head if cell == 'output' else key) + 1}, {value + 1}]"


def snippet(
    *, network: str, picture: str, layer: str, width: int, row: int, column: int, head: int, cell: str, key: int,
    value: int,
) -> str:  # fmt: skip
    """A program that prints the number of a cell and its largest products, from the photograph up.

    network: a name of the zoo or a file. picture: Python that gives a PIL image. cell: of `state.CELLS`.
    """
    if cell == "output":
        of = f'row = tensors["q"][{head}, n]  # the query of head {head + 1}'
    else:
        of = f'row = torch.eye(tensors["q"].shape[2])[{key}]  # key {key + 1} alone'
    parts = (KEYS, "content"), (KERNELS, "position")
    sums = "\n".join(lines.strip() for lines, half in parts if WITHOUT.get(cell) != half)
    return f'''"""One number of one lambda layer, and the products that it is the sum of. Needs lambda_core."""

import torch
{exports.libraries(picture)}
from lambda_core import load_checkpoint, trace
from lambda_core.data import prepare
from lambda_core.positions import around{exports.readers(picture)}

{exports.opening(network, picture)}

prefix = {layer + "."!r}
taps = trace(checkpoint.model, x).items()
tensors = {{name.removeprefix(prefix): tap[0] for name, tap in taps if name.startswith(prefix)}}
layer = checkpoint.model.get_submodule({layer!r})
tensors |= {{name: p.detach() for name, p in layer.named_parameters(recurse=False)}}  # E

width = {width}
n, value = {row} * width + {column}, {value}  # row {row + 1}, column {column + 1}, value {value + 1}
{of}
values = tensors["v"][:, value]  # V, (m, u)
weights, constant = torch.zeros_like(values), torch.tensor(0.0)
{sums}
products = weights * values
print("{title(cell, head, key, value)} =", round(float(products.sum() + constant), 3))

for i in products.flatten().abs().topk(min({LARGEST}, products.numel())).indices.tolist():
    m, u = divmod(i, products.shape[1])
    numbers = f"{{weights[m, u]:.3f}} × {{values[m, u]:.3f}} = {{products[m, u]:+.3f}}"
    print(f"row {{m // width + 1}}, column {{m % width + 1}}:", numbers)
if constant:
    print("a learned number that belongs to no position:", round(float(constant), 3))
'''
