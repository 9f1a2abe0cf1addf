"""One contraction, several orders: y_n = sum over k of q_nk sum over m, u of E_nmku V_mvu.

Every engine is a function(q, v, table, size) -> y with q (b, h, n, k), v (b, m, v, u), table (k, u, rows, columns),
size = (H, W) with n = m = H W, and y (b, h, n, v). They agree in output and gradient: `einsum` is the definition, the
others are faster. `select` picks one, `explain` says why.
"""

from collections.abc import Callable

from torch import Tensor

from lambda_core import positions
from lambda_core.engines import attention, convolution, einsum, fft, gemm
from lambda_core.engines.auto import explain, select

Engine = Callable[[Tensor, Tensor, Tensor, positions.Size], Tensor]

ENGINES: dict[str, Engine] = {
    "einsum": einsum.position_output,
    "convolution": convolution.engine,
    "gemm": gemm.engine,
    "fft": fft.engine,
    "attention": attention.engine,
}

__all__ = ["ENGINES", "Engine", "explain", "select"]
