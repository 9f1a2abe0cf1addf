"""Relative offsets: which entry of a table of embeddings a (query, context) pair of positions reads.

A table holds one embedding for each offset `m - n`, centred: entry (rows // 2, columns // 2) is offset (0, 0).
Positions are counted row by row, so position n of an H x W map is (n // W, n % W).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]


def is_count(value: Any) -> bool:
    """Whether it is an integer of at least 1, of Python, numpy or torch."""
    return hasattr(value, "__index__") and not isinstance(value, bool) and value > 0


def table_size(scope: int | None, size: tuple[int, ...] | None, dims: int = 2) -> tuple[int, ...]:
    """Entries of a table along each of `dims` axes: r for a local scope, for a global one every offset of `size`.

    Raises ValueError for a scope that is even or below 1, and for a global one without a size.
    """
    if scope is not None:
        if not is_count(scope) or scope % 2 == 0:
            raise ValueError(f"scope must be an odd positive integer, or None for global, not {scope!r}")
        return (scope,) * dims
    if not isinstance(size, tuple) or len(size) != dims or not all(map(is_count, size)):
        wanted = "size=(H, W), the largest map" if dims == 2 else "size=n, the longest sequence"
        raise ValueError(f"a global scope (scope=None) needs {wanted} that the layer will see, not size={size}")
    return tuple(2 * side - 1 for side in size)


def cropped_size(entries: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, ...]:
    """Entries of a table along each axis that occur on a map of this size: at most 2 H - 1 of them."""
    return tuple(min(count, 2 * side - 1) for count, side in zip(entries, size, strict=True))


def crop(table: Tensor, size: Size) -> Tensor:
    """The centre of a table (..., rows, columns): only the offsets that occur on an H x W map."""
    rows, columns = table.shape[-2:]
    top, left = max(0, rows // 2 - size[0] + 1), max(0, columns // 2 - size[1] + 1)
    return table[..., top : rows - top, left : columns - left]


def padded(table: Tensor, size: Size) -> Tensor:
    """The table as (..., 2H - 1, 2W - 1): every offset of the map, with zeros for those out of scope."""
    table = crop(table, size)
    rows, columns = size[0] - 1 - table.shape[-2] // 2, size[1] - 1 - table.shape[-1] // 2
    return F.pad(table, (columns, columns, rows, rows))


def offset_index(size: Size, device: torch.device | str | None = None) -> Tensor:
    """(n, m) integers: the flat entry of a full (2H - 1) x (2W - 1) table that query n reads for context m."""
    rows, columns = torch.arange(size[0], device=device), torch.arange(size[1], device=device)
    dy = rows[None, :] - rows[:, None] + size[0] - 1  # (query row, context row)
    dx = columns[None, :] - columns[:, None] + size[1] - 1
    index = dy[:, None, :, None] * (2 * size[1] - 1) + dx[None, :, None, :]
    return index.flatten(2).flatten(0, 1)


def gather(table: Tensor, size: Size) -> Tensor:
    """One embedding a pair: a table (..., rows, columns) becomes (..., n, m), zero where m is out of scope of n."""
    index = offset_index(size, table.device)
    return padded(table, size).flatten(-2)[..., index.flatten()].unflatten(-1, index.shape)


def around(table: Tensor, size: Size, n: int) -> Tensor:
    """`gather` for one query: (..., rows, columns) -> (..., m)"""
    y, x = size[0] - 1 - n // size[1], size[1] - 1 - n % size[1]
    return padded(table, size)[..., y : y + size[0], x : x + size[1]].flatten(-2)


def windows(table: Tensor, size: Size) -> Tensor:
    """`gather` as a view, with the context **in reverse order**: (..., rows, columns) -> (..., H, W, H, W).

    Entry [y, x, i, j] belongs to query (y, x) and context (H - 1 - i, W - 1 - j): with the table reversed, each query
    reads one window of it, so no index is built and the gradient needs no scatter. Flip the values instead.
    """
    return padded(table, size).flip(-2, -1).unfold(-2, size[0], 1).unfold(-2, size[1], 1)
