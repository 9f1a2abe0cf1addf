"""One contraction, several orders: y_n = sum over k of q_nk sum over m of E_nmk V_m.

Every engine is a function(q, v, table, size) -> y with q (b, h, n, k), v (b, m, v, u), table (k, u, rows, columns) and
y (b, h, n, v). They agree in output and gradient; `einsum` is the definition, the others are faster.
"""

from collections.abc import Callable

from torch import Tensor

from lambda_core import positions
from lambda_core.engines import attention, convolution, einsum

Engine = Callable[[Tensor, Tensor, Tensor, positions.Size], Tensor]

ENGINES: dict[str, Engine] = {
    "einsum": einsum.position_output,
    "convolution": convolution.position_output,
    "attention": attention.position_output,
}


def select(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> str:
    return "attention"
