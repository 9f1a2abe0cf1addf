"""Attention first: S = q . E gives every pair its weight, then S . V. The position lambdas are never stored.

h (k + v) multiply-adds a pair in place of k v (1 + h / m): fewer wherever v is larger than h. Memory: b h n m weights.
"""

from torch import Tensor

from lambda_core import positions


def position_weights(q: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """The implied attention of the position part, q_n . E_nm.  (b, h, n, k), (k, u, R, C) -> (b, h, n, m, u)"""
    b, h, n, k = q.shape
    u, m = table.shape[1], n
    pairs = positions.gather(table, size).permute(2, 0, 1, 3).reshape(n, k, u * m)
    rows = q.permute(2, 0, 1, 3).reshape(n, b * h, k)
    return (rows @ pairs).view(n, b, h, u, m).permute(1, 2, 0, 4, 3)  # (b, h, n, m, u)


def position_output(q: Tensor, v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """(b, h, n, k), (b, m, v, u), (k, u, R, C) -> (b, h, n, v)"""
    b, h, n, _ = q.shape
    _, m, _, u = v.shape
    weights = position_weights(q, table, size).permute(0, 1, 2, 4, 3).reshape(b, h * n, u * m)
    values = v.permute(0, 3, 1, 2).reshape(b, u * m, -1)
    return (weights @ values).view(b, h, n, -1)
