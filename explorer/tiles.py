"""Maps as small pictures in the explorer's colours: numpy to PNG, without matplotlib."""

import io

import numpy as np
from PIL import Image

from explorer.theme import PALETTE


def colour(hue: str, scheme: str = "light") -> np.ndarray:
    """A hue of the palette as RGB, 0 to 255."""
    text = PALETTE[scheme][hue]
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], float)


def signed(values: np.ndarray, hue: str, limit: float, scheme: str = "light") -> np.ndarray:
    """(...,) numbers -> (..., 3) uint8: the neutral for minus, the plate for zero, the hue for plus, full at ±limit."""
    share = np.clip(values / (limit or 1), -1, 1)[..., None]
    zero = colour("zero", scheme)
    end = np.where(share < 0, colour("minus", scheme), colour(hue, scheme))
    return (zero + np.abs(share) * (end - zero)).round().astype(np.uint8)


def sheet(maps: np.ndarray, hue: str, limit: float, *, columns: int, cell: int, scheme: str = "light") -> bytes:
    """(count, H, W) maps beside each other, each number a square of `cell` pixels, on a clear ground: a PNG."""
    count, height, width = maps.shape
    rows, gap = -(-count // columns), max(2, cell // 2)
    page = np.zeros((rows * (height * cell + gap) - gap, columns * (width * cell + gap) - gap, 4), np.uint8)
    for i, tile in enumerate(signed(maps, hue, limit, scheme)):
        top, left = i // columns * (height * cell + gap), i % columns * (width * cell + gap)
        drawn = tile.repeat(cell, 0).repeat(cell, 1)
        page[top : top + height * cell, left : left + width * cell, :3] = drawn
        page[top : top + height * cell, left : left + width * cell, 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "PNG")
    return buffer.getvalue()
