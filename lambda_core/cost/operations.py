"""FLOPs of a layer that mixes positions, as a function of its sizes, 2 a multiply-add, as `profile` counts a network.

Letters as in `lambda_core.cost.memory`, and d channels, in and out; x multiply-adds of an engine of lambda layers by
its own `cost`. Projections are counted; softmax, norms and pooling are not. A backward pass takes twice as many.
"""

from lambda_core.cost.memory import MEMORY
from lambda_core.cost.terms import Term, Terms
from lambda_core.engines.auto import COSTS

OPERATIONS: dict[str, dict[str, str]] = {
    "global attention": {
        "projections": "6·n·d²", "queries times keys": "2·h·n²·k", "queries times embeddings": "4·h·n·s·k",
        "attention times values": "2·h·n²·v",
    },
    "axial attention": {
        "projections": "12·n·d²", "queries times keys": "4·h·n·s·k", "queries times embeddings": "4·h·n·s·k",
        "attention times values": "4·h·n·s·v",
    },
    "local attention": {
        "projections": "6·n·d²", "queries times keys": "2·h·n·m·k", "queries times embeddings": "2·h·n·m·k",
        "attention times values": "2·h·n·m·v",
    },
    "linear attention": {"projections": "8·n·d²", "context": "2·h·n·k·v", "context times queries": "2·h·n·k·v"},
    "flash attention": {
        "projections": "6·n·d²", "queries times keys": "2·h·n²·k", "attention times values": "2·h·n²·v",
    },
}  # fmt: skip
LAMBDA = {"projections": "2·n·d·h·k + 2·n·d·k·u + 2·n·d·v·u", "content lambda": "2·n·k·v·u"}


def operations(
    kind: str, *, side: int, dim: int, batch: int = 1, heads: int = 8, k: int = 16, u: int = 1, scope: int = 7,
    layers: int = 1,
) -> Terms:  # fmt: skip
    """FLOPs of a forward pass through `layers` layers of one kind, an entry of MEMORY, on `batch` side x side maps.

    dim: channels of all heads; v = dim / heads, and k too but for lambda layers. scope: r; of local attention the
    window, whose places are computed also outside the map. λc meets the queries on its own.
    """
    if kind not in MEMORY:
        raise ValueError(f"no formula of operations is called {kind!r}; there are {', '.join(MEMORY)}")
    v, n = dim // heads, side**2
    r = min(scope, 2 * side - 1)
    sizes = {"l": layers, "b": batch, "h": heads, "n": n, "s": side, "d": dim, "v": v, "k": v, "m": r**2}
    formulas = OPERATIONS.get(kind, LAMBDA)
    if kind in OPERATIONS:
        return _terms(formulas, sizes)
    engine = kind.removeprefix("lambda, ")
    sizes |= {"k": k, "u": u}
    x, _ = COSTS[engine]((batch, heads, n, k), (batch, n, v, u), (k, u, r, r), (side, side))
    position = Term(f"position part, {engine} engine", "l·2·x", sizes | {"x": x})
    return (*_terms({**formulas, "λc times queries": "2·h·n·k·v"}, sizes), position)


def _terms(formulas: dict[str, str], sizes: dict[str, int]) -> Terms:
    return tuple(
        Term(name, " + ".join(f"l·b·{product}" for product in formula.split(" + ")), sizes)
        for name, formula in formulas.items()
    )
