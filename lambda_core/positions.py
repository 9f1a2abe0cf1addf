"""Relative offsets: which entry of a table of embeddings a (query, context) pair of positions reads.

A table holds one embedding per offset `m - n`, centred: entry (rows // 2, columns // 2) is offset (0, 0).
Positions are counted row by row, so position n of an H x W map is (n // W, n % W).
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]


def table_size(scope: int | None, size: Size | None) -> Size:
    """Rows and columns of the table for a local scope r (r x r) or a global one (every offset of an H x W map)."""
    if scope is not None:
        if scope < 1 or scope % 2 == 0:
            raise ValueError(f"scope must be an odd positive integer or None for global, not {scope}")
        return scope, scope
    if size is None:
        raise ValueError("a global scope (scope=None) needs size=(H, W), the largest map the layer will see")
    return 2 * size[0] - 1, 2 * size[1] - 1


def crop(table: Tensor, size: Size) -> Tensor:
    """The centre of a table (..., rows, columns): only the offsets that occur on an H x W map."""
    rows, columns = table.shape[-2:]
    top, left = max(0, rows // 2 - size[0] + 1), max(0, columns // 2 - size[1] + 1)
    return table[..., top : rows - top, left : columns - left]


def padded(table: Tensor, size: Size) -> Tensor:
    """The table widened with zeros to (..., 2H - 1, 2W - 1): every offset of the map, those out of scope at zero."""
    table = crop(table, size)
    rows, columns = size[0] - 1 - table.shape[-2] // 2, size[1] - 1 - table.shape[-1] // 2
    return F.pad(table, (columns, columns, rows, rows))


@lru_cache(maxsize=64)
def _offset_index(size: Size, device: torch.device) -> Tensor:
    rows, columns = torch.arange(size[0], device=device), torch.arange(size[1], device=device)
    dy = rows[None, :] - rows[:, None] + size[0] - 1  # (query row, context row)
    dx = columns[None, :] - columns[:, None] + size[1] - 1
    index = dy[:, None, :, None] * (2 * size[1] - 1) + dx[None, :, None, :]
    n = size[0] * size[1]
    return index.reshape(n, n)


def offset_index(size: Size, device: torch.device | str = "cpu") -> Tensor:
    """(n, m) integers: the flat entry of a full (2H - 1) x (2W - 1) table that query n reads for context m."""
    return _offset_index(size, torch.device(device))


def gather(table: Tensor, size: Size) -> Tensor:
    """One embedding a pair: a table (..., rows, columns) becomes (..., n, m), zero where m is out of scope of n."""
    index = offset_index(size, table.device)
    return padded(table, size).flatten(-2)[..., index.flatten()].unflatten(-1, index.shape)
