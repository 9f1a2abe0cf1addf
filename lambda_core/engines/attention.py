"""Attention first: S = q · E gives every pair its weight, then S · V. The position lambdas are never stored.

h (k + v) multiply-adds a pair in place of k v: fewer wherever h < k v / (k + v). In exchange every pair of positions
stores a weight for each head.
"""

from torch import Tensor, einsum

from lambda_core import positions


def position_weights(q: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """The implied attention of the position part, q_n · E_nm.  (b, h, n, k), (k, u, R, C) -> (b, h, n, m, u)"""
    return einsum("bhnk,kunm->bhnmu", q, positions.gather(table, size))


def position_output(q: Tensor, v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """y_n = sum over m, u of (q_n · E_nmu) V_mvu.  (b, h, n, k), (b, m, v, u), (k, u, R, C) -> (b, h, n, v)"""
    b, h, n, k = q.shape
    _, m, values, u = v.shape
    pairs = positions.windows(table, size).permute(2, 3, 0, 1, 4, 5).reshape(n, k, u * m)  # m in reverse order
    rows = q.permute(2, 0, 1, 3).reshape(n, b * h, k)
    weights = (rows @ pairs).view(n, b, h, u * m).permute(1, 2, 0, 3).reshape(b, h * n, u * m)
    context = v.flip(1).permute(0, 3, 1, 2).reshape(b, u * m, values)
    return (weights @ context).view(b, h, n, values)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds, and numbers stored: the gathered embeddings, and the weights in two layouts."""
    b, h, n, k = q
    _, m, values, u = v
    return b * h * n * m * u * (k + values), n * m * u * (k + 2 * b * h)
