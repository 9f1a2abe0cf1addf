"""Tensors to figures for paper and slides: matplotlib, no streamlit. One figure a step, in the explorer's colours."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from explorer.theme import PALETTE

INK = PALETTE["light"]
Tensors = Mapping[str, np.ndarray]


def diverging(hue: str) -> Colormap:
    """Grey for minus, the plate for zero, the tensor's hue for plus."""
    return LinearSegmentedColormap.from_list(hue, [INK["minus"], INK["zero"], INK[hue]])


def sequential() -> Colormap:
    """For softmax weights: from zero up."""
    return LinearSegmentedColormap.from_list("weights", [INK["zero"], INK["key"], INK["key-deep"]])


def draw_values(axes: Axes, values: np.ndarray, hue: str, title: str, limit: float | None = None) -> None:
    if hue == "weights":
        image = axes.imshow(values, sequential(), vmin=0, vmax=limit or float(np.nanmax(values)) or 1)
    else:
        limit = limit or float(np.nanquantile(np.abs(values), 0.985)) or 1
        image = axes.imshow(values, diverging(hue), vmin=-limit, vmax=limit)
    axes.set_title(title, loc="left", fontsize=10, color=INK["ink"])
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, aspect=18)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=0, colors=INK["ink-soft"])


def sheet(maps: np.ndarray, columns: int) -> np.ndarray:
    """(count, H, W) maps side by side, row by row, one empty pixel between them: (rows, columns) with NaN gaps."""
    count, height, width = maps.shape
    rows = -(-count // columns)
    page = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for i, tile in enumerate(maps):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        page[top : top + height, left : left + width] = tile
    return page


def draw_photo(axes: Axes, photo: Image.Image, layer: Mapping[str, Any], row: int, column: int) -> None:
    height, width = layer["height"], layer["width"]
    axes.imshow(photo, extent=(0, width, height, 0))
    half = layer["table"][0] // 2
    if layer["position"] and layer["scope"] is not None:
        left, top = max(0, column - half), max(0, row - half)
        right, bottom = min(width, column + half + 1), min(height, row + half + 1)
        axes.add_patch(
            Rectangle((left, top), right - left, bottom - top, fill=False, ec=INK["position"], lw=2, label="window")
        )
    axes.add_patch(Rectangle((column, row), 1, 1, fill=False, ec=INK["pixel"], lw=2.5))
    axes.set_title(f"pixel n: row {row + 1}, column {column + 1}", loc="left", fontsize=10, color=INK["ink"])
    axes.axis("off")


def around(table: np.ndarray, height: int, width: int, n: int) -> np.ndarray:
    """E as pixel n sees it: its table (k, u, R, C) -> (k, u, m), zero outside the window."""
    rows, columns = table.shape[-2:]
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    dy, dx = y - n // width + rows // 2, x - n % width + columns // 2
    seen = (dy >= 0) & (dy < rows) & (dx >= 0) & (dx < columns)
    found = np.zeros((*table.shape[:2], height * width), table.dtype)
    found[:, :, seen] = table[:, :, dy[seen], dx[seen]]
    return found


def implied_weights(tensors: Tensors, layer: Mapping[str, Any], n: int) -> dict[str, np.ndarray]:
    """What pixel n takes from each position: {"content", "position", "sum"}, each (h, H, W), summed over u.

    content: q_n . K̄_m. position: q_n . E_{m-n}, zero outside the window.
    """
    height, width = layer["height"], layer["width"]
    query = tensors["q"][:, n]  # (h, k)
    zero = np.zeros((layer["heads"], height, width), np.float32)
    content = zero
    if "keys" in tensors:
        content = np.einsum("hk,mku->hm", query, tensors["keys"]).reshape(zero.shape)
    position = zero
    if "embeddings" in tensors:
        position = np.einsum("hk,kum->hm", query, around(tensors["embeddings"], height, width, n)).reshape(zero.shape)
    return {"content": content, "position": position, "sum": content + position}


def shares(tensors: Tensors, layer: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """‖yᶜ_n‖ and ‖yᵖ_n‖ over all heads and values, each as a share of their sum: {"content", "position"}, (H, W)."""
    shape = layer["height"], layer["width"]
    zero = np.zeros(shape, np.float32)
    named = {half: tensors.get(f"{half}_output") for half in ("content", "position")}
    sizes = {
        half: zero if y is None else np.sqrt(np.square(y).sum((0, 2))).reshape(shape)  # (h, n, v)
        for half, y in named.items()
    }
    whole = np.maximum(sizes["content"] + sizes["position"], 1e-12)
    return {half: size / whole for half, size in sizes.items()}


def step_figure(
    tensors: Tensors, layer: Mapping[str, Any], photo: Image.Image, *, row: int, column: int, step: int | str
) -> Figure:
    """The figure of one step (0 the overview, 1 to 8), or of the "halves", for one pixel, to save as PNG or SVG."""
    height, width = layer["height"], layer["width"]
    n = row * width + column

    def maps(name: str) -> np.ndarray:  # (m, k, u) or (h, n, k) -> (count, H, W)
        values = tensors[name]
        moved = values.transpose(0, 2, 1) if name == "q" else values.transpose(1, 2, 0)
        return moved.reshape(-1, height, width)

    content, position = tensors["content_lambda"], tensors["position_lambda"]
    position = position[n] if position.ndim == 3 else position
    both = content + position
    limit = float(np.quantile(np.abs(both), 0.985)) or 1
    query = tensors["q"][:, n].T  # (k, h)
    draw: dict[str, Callable[[Axes], None]] = {
        "photo": lambda axes: draw_photo(axes, photo, layer, row, column),
        "input": lambda axes: draw_values(axes, sheet(tensors["input"], 16), "input", "X, channels"),
        "queries": lambda axes: draw_values(axes, sheet(maps("q"), layer["dim_k"]), "query", "Q, a row a head"),
        "values": lambda axes: draw_values(axes, sheet(maps("v"), 16), "value", "V"),
        "content": lambda axes: draw_values(axes, content, "content", r"$\lambda^c$, content", limit),
        "position": lambda axes: draw_values(axes, position, "position", r"$\lambda^p_n$, position", limit),
        "lambda": lambda axes: draw_values(axes, both, "lambda", r"$\lambda_n = \lambda^c + \lambda^p_n$", limit),
        "query": lambda axes: draw_values(axes, query, "query", r"$q_n$, a column a head"),
        "output": lambda axes: draw_values(axes, query.T @ both, "output", r"$y_n$, a row a head"),
    }
    if "keys" in tensors:
        draw["keys"] = lambda axes: draw_values(axes, sheet(maps("k"), 8), "key", "K, scores")
        draw["weights"] = lambda axes: draw_values(axes, sheet(maps("keys"), 8), "weights", r"$\bar{K}$, weights")
    if "embeddings" in tensors:
        table = tensors["embeddings"].reshape(-1, *tensors["embeddings"].shape[-2:])
        draw["kernels"] = lambda axes: draw_values(axes, sheet(table, 8), "position", "E, kernels")
    for half, hue in (("content", "content"), ("position", "position"), ("sum", "lambda")):
        values = implied_weights(tensors, layer, n)[half]
        draw[f"implied {half}"] = partial(
            draw_values, values=sheet(values, len(values)), hue=hue, title=f"implied attention, {half}, a map a head"
        )

    for half, share in shares(tensors, layer).items():
        draw[f"share {half}"] = partial(draw_values, values=share, hue=half, title=f"{half}, share of y", limit=1.0)

    names = [name for name in (HALVES if step == "halves" else PANELS[int(step)]) if name in draw]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        draw[name](axes)
    for axes in grid[len(names) :]:
        axes.axis("off")
    return figure


PANELS = (
    ("photo", "weights", "content", "kernels", "position", "lambda", "values", "query", "output"),
    ("photo", "input"),
    ("photo", "queries", "keys", "values"),
    ("photo", "keys", "weights"),
    ("weights", "values", "content"),
    ("photo", "kernels", "position"),
    ("content", "position", "lambda"),
    ("lambda", "query", "output"),
    ("photo", "implied content", "implied position", "implied sum", "output"),
)
HALVES = (
    "photo", "query", "output",
    "content", "implied content", "share content",
    "position", "implied position", "share position",
)  # fmt: skip


def save(figure: Figure, kind: str) -> bytes:
    """The figure as "png" (200 dpi) or "svg"."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=200)
    return buffer.getvalue()
