"""The figure of the scope page for paper and slides: matplotlib, no streamlit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from explorer.plots import INK, Tensors, diverging, sheet
from explorer.words import kernels


def scope_figure(
    tensors: Tensors, measured: Tensors, layer: Mapping[str, Any], photo: Image.Image,
    *, row: int, column: int, head: int, scope: int,
) -> Figure:  # fmt: skip
    """Window on the photo, kernels, implied weights, footprints in the layer and on the picture, and E's cropping.

    Without E the two footprints alone stand beside the photo. measured: weights (h, H, W), layer (H, W), image
    (H', W'), change (H, W). scope: r of the drawn window, 0 for none.
    """
    height, width = layer["height"], layer["width"]
    position = "embeddings" in tensors
    figure = Figure(figsize=(12.6, 6.8 if position else 3.4), layout="constrained", facecolor="white")
    axes = figure.subplots(1 + position, 3).ravel()

    def frame(panel: Axes, sides: tuple[int, int]) -> None:
        tall, wide = sides[0] / height, sides[1] / width
        panel.add_patch(Rectangle((column * wide, row * tall), wide, tall, fill=False, ec=INK["pixel"], lw=2))
        if scope:
            left, top = max(0, column - scope // 2), max(0, row - scope // 2)
            right, bottom = min(width, column + scope // 2 + 1), min(height, row + scope // 2 + 1)
            panel.add_patch(
                Rectangle((left * wide, top * tall), (right - left) * wide, (bottom - top) * tall, fill=False,
                          ec=INK["position"], lw=2)
            )  # fmt: skip

    def draw(panel: Axes, values: np.ndarray, hue: str, title: str, from_zero: bool = False) -> None:
        sizes = np.abs(values[np.isfinite(values) & (values != 0)])
        limit = float(np.quantile(sizes, 0.985)) if sizes.size else 1.0
        sides = values.shape[-2:]
        shown = panel.imshow(
            values, diverging(hue), vmin=-limit, vmax=limit, extent=(0, sides[1], sides[0], 0), interpolation="nearest"
        )
        bar = figure.colorbar(shown, ax=panel, shrink=0.6, pad=0.02, aspect=18)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7, length=0, colors=INK["ink-soft"])
        if from_zero:
            bar.ax.set_ylim(0, limit)
        panel.set_title(title, loc="left", fontsize=10, color=INK["ink"])

    axes[0].imshow(photo, extent=(0, width, height, 0))
    frame(axes[0], (height, width))
    where = f"row {row + 1}, column {column + 1}" + f", r = {scope}" * position
    axes[0].set_title(where, loc="left", fontsize=10, color=INK["ink"])
    if position:
        table = tensors["embeddings"]
        dy, dx = np.ogrid[: table.shape[-2], : table.shape[-1]]
        far = np.maximum(abs(dy - table.shape[-2] // 2), abs(dx - table.shape[-1] // 2)) > scope // 2
        shown = np.where(far, 0, table.sum(1))
        draw(axes[1], sheet(shown, 4), "position", f"E, {kernels(*table.shape[:2])}")
        draw(axes[2], measured["weights"][head], "position", rf"$q_n \cdot E$, head {head + 1}")
        frame(axes[2], (height, width))
        draw(axes[5], measured["change"], "output", r"change of y with $E$ cropped", from_zero=True)
    in_layer, on_picture = axes[3:5] if position else axes[1:]
    draw(in_layer, measured["layer"], "output", r"$|\partial y_n / \partial x_m|$, in the layer", from_zero=True)
    frame(in_layer, (height, width))
    draw(on_picture, measured["image"], "output", r"$|\partial y_n / \partial x|$, on the picture", from_zero=True)
    frame(on_picture, measured["image"].shape)
    for panel in axes:
        panel.set_xticks([])
        panel.set_yticks([])
        for spine in panel.spines.values():
            spine.set_visible(False)
    return figure
