"""The definition: gather one embedding for each pair of positions, then sum as the paper writes it."""

from torch import Tensor, einsum

from lambda_core import positions
from lambda_core.functional import wide


def position_lambdas(v: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """λp_n = sum over m, u of E_nmku V_mvu.  (b, m, v, u), (k, u, R, C) -> (b, n, k, v)"""
    return einsum("kunm,bmvu->bnkv", positions.gather(table, size), v)


def engine(q: Tensor, v: Tensor, table: Tensor, size: positions.Size, content: Tensor | None = None) -> Tensor:
    """y_n = (λc + λp_n)ᵀ q_n.  (b, h, n, k), (b, m, v, u), (k, u, R, C), (b, k, v) or None -> (b, h, n, v)"""
    lambdas = position_lambdas(wide(v), wide(table), size)
    if content is not None:
        lambdas = lambdas + wide(content)[:, None]
    return einsum("bhnk,bnkv->bhnv", wide(q), lambdas).to(q.dtype)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds, and numbers stored: the gathered embeddings and the lambdas, in two layouts."""
    b, h, n, k = q
    _, m, values, u = v
    return b * n * k * values * (m * u + h), 2 * (n * m * k * u + b * n * k * values)
