"""The definition: gather one embedding for each pair of positions, then sum as the paper writes it."""

from torch import Tensor, einsum

from lambda_core import positions


def position_lambdas(v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """lambda_n[k, v] = sum over m, u of E[n, m, k, u] V[m, v, u].  (b, m, v, u), (k, u, R, C) -> (b, n, k, v)"""
    return einsum("kunm,bmvu->bnkv", positions.gather(table, size), v)


def position_output(q: Tensor, v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """y_n = lambda_nᵀ q_n for every head.  (b, h, n, k), (b, m, v, u), (k, u, R, C) -> (b, h, n, v)"""
    return einsum("bhnk,bnkv->bhnv", q, position_lambdas(v, table, size))
