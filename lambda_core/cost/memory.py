"""Memory of a layer that mixes positions, as a function of its sizes: what training keeps for the backward pass.

Letters: l layers of one resolution, b batch, h heads, k depth of queries and keys, v depth of values a head,
u intra-depth, s side of the square map, n = s² queries, m = min(r, s)² context positions of a local scope r.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from lambda_core.cost.terms import Term, Terms, total

GIB = 2**30

# Engine -> what the position part of a lambda layer keeps besides queries, values and the table, in numbers.
# The sums run over all pairs of the map, in scope or not, so m is n here.
ENGINE_KEEPS: dict[str, dict[str, str]] = {
    "einsum": {"gathered embeddings": "n²·k·u", "position lambdas": "b·n·k·v"},
    "convolution": {"position lambdas": "b·n·k·v"},
    "attention": {"gathered embeddings": "n²·k·u", "position weights": "b·h·n²·u"},
}

ATTENTION = {"queries": "b·h·n·k", "keys": "b·h·n·k", "values": "b·h·n·v", "output": "b·h·n·v"}
LAMBDA = {"queries": "b·h·n·k", "keys": "b·n·k·u", "values": "b·n·v·u", "output": "b·h·n·v", "content lambda": "b·k·v"}


class Needs(NamedTuple):
    """`maps`: what the paper counts, attention maps or position embeddings. `rest`: everything else that is kept."""

    maps: dict[str, str]
    rest: dict[str, str]


def _lambda(engine: str) -> Needs:
    parts = ENGINE_KEEPS[engine]
    maps = {name: formula for name, formula in parts.items() if name != "position lambdas"}
    return Needs(maps, LAMBDA | {name: formula for name, formula in parts.items() if name not in maps})


MEMORY: dict[str, Needs] = {
    "global attention": Needs({"attention maps": "b·h·n²"}, ATTENTION),
    # One layer along each axis.
    "axial attention": Needs(
        {"attention maps": "2·b·h·n·s"}, {name: f"2·{needs}" for name, needs in ATTENTION.items()}
    ),
    # Keys and values are copied to every query's window.
    "local attention": Needs({"attention maps": "b·h·n·m"}, ATTENTION | {"keys": "b·h·n·m·k", "values": "b·h·n·m·v"}),
    "linear attention": Needs({}, ATTENTION | {"context": "b·h·k·v"}),
    # A fused kernel (FlashAttention, PyTorch's SDPA) keeps one number a query and computes the map again.
    "flash attention": Needs({}, ATTENTION | {"log-sum-exp": "b·h·n"}),
    **{f"lambda, {engine}": _lambda(engine) for engine in ENGINE_KEEPS},
}


@dataclass(frozen=True)
class Memory:
    """What `layers` equal layers keep, in terms whose values are numbers of entries."""

    maps: Terms
    rest: Terms
    bytes_an_entry: int

    @property
    def map_bytes(self) -> int:
        """Bytes of attention maps or embeddings alone, as the paper's table 4 counts."""
        return total(self.maps) * self.bytes_an_entry

    @property
    def bytes(self) -> int:
        """All that is kept, queries, keys, values and output included."""
        return self.map_bytes + total(self.rest) * self.bytes_an_entry

    def __add__(self, other: "Memory") -> "Memory":
        return replace(self, maps=self.maps + other.maps, rest=self.rest + other.rest)


def memory(
    kind: str,
    *,
    side: int,
    batch: int = 1,
    heads: int = 8,
    k: int = 16,
    v: int = 16,
    u: int = 1,
    scope: int = 7,
    layers: int = 1,
    shared: bool = False,
    bytes_an_entry: int = 4,
) -> Memory:
    """What training keeps for the backward pass in `layers` layers of one kind on a side x side map.

    kind: an entry of MEMORY. scope: of local attention. shared: one set of gathered embeddings for all layers.
    Raises ValueError for an unknown kind or a size below 1.
    """
    if kind not in MEMORY:
        raise ValueError(f"no memory formula is called {kind!r}; there are {', '.join(MEMORY)}")
    sizes = {"s": side, "b": batch, "h": heads, "k": k, "v": v, "u": u, "r": scope, "l": layers}
    if small := [letter for letter, size in sizes.items() if size < 1]:
        raise ValueError(f"{small[0]} must be at least 1, not {sizes[small[0]]}")
    sizes |= {"n": side**2, "m": min(scope, side) ** 2}

    def terms(formulas: dict[str, str]) -> Terms:
        once = {"gathered embeddings"} if shared else set()
        return tuple(
            Term(name, formula if name in once else f"l·{formula}", sizes) for name, formula in formulas.items()
        )

    return Memory(terms(MEMORY[kind].maps), terms(MEMORY[kind].rest), bytes_an_entry)
