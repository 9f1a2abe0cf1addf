"""Memory of a layer that mixes positions, as a function of its sizes: what training keeps, and what it peaks at.

Letters: l layers of one resolution, b batch, h heads, k depth of queries and keys, v depth of values a head,
u intra-depth, s side of the square map, n = s² queries, m = min(r, 2s − 1)² places of a local window of side r.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from lambda_core.cost import engines
from lambda_core.cost.engines import KEEPS
from lambda_core.cost.terms import Term, Terms, total
from lambda_core.engines import operator
from lambda_core.engines.auto import MADE_FOR

ATTENTION = {"queries": "b·h·n·k", "keys": "b·h·n·k", "values": "b·h·n·v", "output": "b·h·n·v"}
LAMBDA = {"queries": "b·h·n·k", "keys": "b·n·k·u", "values": "b·n·v·u", "output": "b·h·n·v", "content lambda": "b·k·v"}
GRADIENTS = "2·b·h·n·k + 3·b·h·n·v"  # of queries, keys, values and output, the last in two layouts


class Needs(NamedTuple):
    """Formulas by name. maps: attention maps or position embeddings, which the paper counts. rest: all else kept.

    work: what one layer takes on top of that while it runs, forward or backward, at most.
    """

    maps: dict[str, str]
    rest: dict[str, str]
    work: dict[str, str]


def _attention(maps: dict[str, str], rest: Mapping[str, str] = MappingProxyType({})) -> Needs:
    """The backward pass has the gradient of each map, after the softmax and before it."""
    work = {f"gradients of the {name}": f"2·{formula}" for name, formula in maps.items()}
    return Needs(maps, {**ATTENTION, **rest}, work | {"gradients": GRADIENTS})


def _lambda(engine: str) -> Needs:
    maps = {name: formula for name, formula in KEEPS[engine].items() if name == "gathered embeddings"}
    rest = {name: formula for name, formula in KEEPS[engine].items() if name not in maps}
    return Needs(maps, LAMBDA | rest, {"gradients": "b·h·n·k + b·n·k·u + b·n·v·u + b·h·n·v"})


MEMORY: dict[str, Needs] = {
    "global attention": _attention({"attention maps": "b·h·n²"}),
    # One layer along each axis.
    "axial attention": Needs(
        {"attention maps": "2·b·h·n·s"},
        {name: f"2·{formula}" for name, formula in ATTENTION.items()},
        {"gradients of the attention maps": "2·b·h·n·s", "gradients": GRADIENTS},
    ),
    # Keys and values are copied to every query's window.
    "local attention": _attention({"attention maps": "b·h·n·m"}, {"keys": "b·h·n·m·k", "values": "b·h·n·m·v"}),
    "linear attention": _attention({}, {"context": "b·h·k·v"}),
    # A fused kernel (FlashAttention, PyTorch's SDPA) keeps one number a query and computes the map again.
    "flash attention": _attention({}, {"log-sum-exp": "b·h·n"}),
    **{f"lambda, {engine}": _lambda(engine) for engine in KEEPS if engine not in MADE_FOR},
}


@dataclass(frozen=True)
class Memory:
    """What some layers keep, and what one of them works with, in terms whose values are numbers of entries."""

    maps: Terms
    rest: Terms
    work: Terms
    bytes_an_entry: int

    @property
    def map_bytes(self) -> int:
        """Bytes of attention maps or embeddings alone, as the paper's table of complexities counts."""
        return total(self.maps) * self.bytes_an_entry

    @property
    def bytes(self) -> int:
        """All that is kept, queries, keys, values and output included."""
        return self.map_bytes + total(self.rest) * self.bytes_an_entry

    @property
    def peak(self) -> int:
        """Bytes at the worst moment of a training step, at most: all that is kept, and the work of one layer."""
        return self.bytes + total(self.work) * self.bytes_an_entry

    def __add__(self, other: "Memory") -> "Memory":
        """Layers of both kinds in one network. They run one after the other, so the larger work counts."""
        work = max(self.work, other.work, key=total)
        return replace(self, maps=self.maps + other.maps, rest=self.rest + other.rest, work=work)


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
    room: int = operator.CACHE,
) -> Memory:
    """What training keeps for the backward pass in `layers` layers of one kind on a side x side map, and its peak.

    kind: an entry of MEMORY. scope: of local attention and of lambda layers, where 2 side - 1 is global. shared: one
    set of gathered embeddings for all layers. room: numbers that a piece of a lambda engine's work may hold; the
    default is a CPU's.
    Raises ValueError for an unknown kind or a size below 1.
    """
    if kind not in MEMORY:
        raise ValueError(f"no memory formula is called {kind!r}; there are {', '.join(MEMORY)}")
    sizes = {"s": side, "b": batch, "h": heads, "k": k, "v": v, "u": u, "r": scope, "l": layers}
    if small := [letter for letter, size in sizes.items() if size < 1]:
        raise ValueError(f"{small[0]} must be at least 1, not {sizes[small[0]]}")
    sizes |= {"n": side**2, "m": min(scope, 2 * side - 1) ** 2}

    needs, once = MEMORY[kind], {"gathered embeddings"} if shared else set()

    def kept(formulas: dict[str, str]) -> Terms:
        return tuple(
            Term(name, formula if name in once else f"l·{formula}", sizes) for name, formula in formulas.items()
        )

    work, letters = needs.work, sizes
    if kind.startswith("lambda, "):
        formulas, more = engines.work(kind.removeprefix("lambda, "), sizes, room)
        work, letters = work | formulas, sizes | more
    during = tuple(Term(name, formula, letters) for name, formula in work.items())
    return Memory(kept(needs.maps), kept(needs.rest), during, bytes_an_entry)
