"""One contraction, several orders: y_n = sum over k of q_nk (λc_k + sum over m, u of E_nmku V_mvu).

Every engine is a function(q, v, table, size, content=None) -> y with q (b, h, n, k), v (b, m, v, u), table (k, u, rows,
columns), size = (H, W) with n = m = H W, content the content lambda λc (b, k, v), by default none, and y (b, h, n, v).
In the same sum λc costs next to nothing. They agree in output and gradient: `einsum` is the definition, the others are
faster. `select` picks one, `explain` says why.
"""

from collections.abc import Callable

from torch import Tensor

from lambda_core.engines.auto import MODULES, explain, select

Engine = Callable[..., Tensor]

ENGINES: dict[str, Engine] = {name: module.engine for name, module in MODULES.items()}

__all__ = ["ENGINES", "Engine", "explain", "select"]
