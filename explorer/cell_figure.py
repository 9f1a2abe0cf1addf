"""One number of a lambda, or of an output, as a figure: weights × values = products, for paper and slides."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from explorer.plots import Tensors, around, draw_photo, draw_values

TITLES = {
    "content_lambda": r"$\lambda^c$", "position_lambda": r"$\lambda^p_n$", "lambda": r"$\lambda_n$", "output": r"$y_n$",
}  # fmt: skip


def terms(
    tensors: Tensors, layer: Mapping[str, Any], n: int, cell: str, head: int, key: int, value: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """(weights (m, u), values (m, u), constant) of a cell: it is the sum of weights * values, plus the constant.

    cell: a matrix of `state.CELLS`. A row of a lambda has the weights of its key; an output those of its head, q_n · K̄
    and q_n · E. The constant is what a position bias adds.
    """
    height, width = layer["height"], layer["width"]
    values = tensors["v"][:, value]  # (m, u)
    row = np.zeros(layer["dim_k"], np.float32)
    row[key] = 1
    if cell == "output":
        row = tensors["q"][head, n]
    weights, constant = np.zeros(values.shape, np.float32), 0.0
    if cell != "position_lambda" and "keys" in tensors:
        weights += np.einsum("k,mku->mu", row, tensors["keys"])
    if cell != "content_lambda" and "embeddings" in tensors:
        weights += np.einsum("k,kum->mu", row, around(tensors["embeddings"], height, width, n))
        if "position_bias" in tensors:
            constant = float(row @ tensors["position_bias"])
    return weights, values, constant


def cell_figure(
    tensors: Tensors, layer: Mapping[str, Any], photo: Image.Image, *, row: int, column: int, cell: str, head: int,
    key: int, value: int,
) -> Figure:  # fmt: skip
    """The photo, and three maps: the weights of the cell, the values of its column, and their products."""
    size = layer["height"], layer["width"]
    weights, values, constant = terms(tensors, layer, row * layer["width"] + column, cell, head, key, value)
    products = weights * values
    of = f"head {head + 1}" if cell == "output" else f"k = {key + 1}"
    number = float(products.sum()) + constant
    figure = Figure(figsize=(13.2, 3.6), layout="constrained", facecolor="white")
    summed = "products and the learned number" if constant else "products"
    figure.suptitle(f"{TITLES[cell]}, {of}, v = {value + 1}: the sum of the {summed} is {number:.4g}", fontsize=11)
    photo_axes, *maps = figure.subplots(1, 4)
    draw_photo(photo_axes, photo, layer, row, column)
    hue = {"content_lambda": "key", "position_lambda": "position"}.get(cell, "lambda")
    drawn = (("weights", weights, hue), ("values", values, "value"), ("products", products, hue))
    for axes, (title, of_terms, name) in zip(maps, drawn, strict=True):
        draw_values(axes, of_terms.sum(1).reshape(size), name, title)
    return figure
