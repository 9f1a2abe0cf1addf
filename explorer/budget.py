"""Memory and operations of layers beside each other, over any of their sizes. No streamlit."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from explorer import words
from lambda_core import step_time
from lambda_core.cost import Memory, Terms, total
from lambda_core.engines import select
from lambda_core.engines.auto import CONSTANTS
from lambda_core.measuring import Point, said

AUTO = "lambda, auto"
KINDS = {  # in the order of the legend
    "global attention": "Global attention",
    "axial attention": "Axial attention",
    "local attention": "Local attention",
    "linear attention": "Linear attention",
    "flash attention": "Fused attention (flash)",
    "lambda, einsum": "Lambda, E of every pair stored",
    AUTO: "Lambda",
    **{f"lambda, {name}": f"Lambda, {name} engine" for name in CONSTANTS["cpu"] if name != "einsum"},
}
SHOWN = [kind for kind in KINDS if not kind.startswith("lambda, ") or kind in (AUTO, "lambda, einsum")]
COUNTS = {
    "kept": "All kept for training",
    "maps": "Maps and embeddings alone",
    "peak": "Peak of a training step",
    "forward": "One layer, forward alone",
}
MOST_SIDE = 4096  # beyond which nobody asks whether it fits

SIDES = (4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
         448, 512)  # fmt: skip
TWOS = tuple(2**i for i in range(11))
CHOICES: dict[str, tuple[int, ...]] = {
    "side": SIDES, "batch": TWOS, "heads": TWOS[:7], "layers": (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64),
    "dim": TWOS[6:], "k": TWOS[:8], "u": TWOS[:5], "scope": (3, 5, 7, 11, 15, 23, 31, 47, 63, 127, 255),
    "window": (3, 5, 7, 9, 11, 15, 23), "entry": (2, 4),
}  # fmt: skip
NAMES = {
    "side": "Side of the map, s", "batch": "Batch, b", "heads": "Heads, h", "layers": "Layers, l",
    "dim": "Channels, d", "k": "Depth of lambda keys, k", "u": "Intra-depth, u", "scope": "Scope of the lambda, r",
    "window": "Window of local attention", "entry": "Bytes a number",
}  # fmt: skip
AXES = {"side": "side", "batch": "batch", "heads": "heads", "layers": "layers", "k": "k", "u": "u", "scope": "r"}
SHORT = {"side": "s", "batch": "b", "heads": "h", "layers": "l", "dim": "d", "k": "k", "u": "u", "scope": "r",
         "window": "w", "entry": "e"}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """What the page's sliders say. v = dim / heads; entry: bytes of a number."""

    side: int = 56
    batch: int = 16
    heads: int = 8
    layers: int = 3
    dim: int = 128
    k: int = 16
    u: int = 1
    scope: int = 23
    window: int = 7
    entry: int = 4

    def text(self) -> str:
        """For a link, what differs from the default: "s96-b64"."""
        default = Sizes()
        return "-".join(
            f"{SHORT[name]}{value}" for name, value in asdict(self).items() if value != getattr(default, name)
        )

    def point(self, kind: str) -> Point:
        """The layers of one kind, for formulas and for measuring. "auto" becomes the engine that it takes."""
        if kind == AUTO:
            kind = f"lambda, {engine(self)}"
        scope = self.window if kind == "local attention" else self.scope
        return Point(kind, self.side, self.batch, self.heads, self.dim, self.k, self.u, scope, self.layers)


def read(text: str) -> Sizes:
    """The sizes of a link. Raises ValueError, with what is wrong, where they are none."""
    found: dict[str, int] = {}
    names = {letter: name for name, letter in SHORT.items()}
    for word in filter(None, text.split("-")):
        name, number = names.get(word[0]), word[1:]
        if name is None or not (number.isascii() and number.isdigit() and len(number) < 6):
            echo = words.escaped(word[:20])
            raise ValueError(f"“{echo}” is no size: a letter of {', '.join(names)} and a number are")
        least, most = CHOICES[name][0], CHOICES[name][-1]
        if not least <= int(number) <= most:
            raise ValueError(f"{NAMES[name]} goes from {least} to {most}, not {number}")
        found[name] = int(number)
    sizes = Sizes(**found)
    if sizes.entry not in CHOICES["entry"]:
        raise ValueError(f"a number has {' or '.join(map(str, CHOICES['entry']))} bytes, not {sizes.entry}")
    if sizes.dim % sizes.heads:
        raise ValueError(f"{sizes.dim} channels cannot be split over {sizes.heads} heads")
    if sizes.scope % 2 == 0 or sizes.window % 2 == 0:
        raise ValueError("a scope and a window have a middle, so they are odd")
    return sizes


def name(kind: str, sizes: Sizes) -> str:
    """What the page calls a kind at some sizes, with the engine that a lambda layer takes there."""
    return f"{KINDS[kind]} ({engine(sizes)} engine)" if kind == AUTO else KINDS[kind]


def engine(sizes: Sizes) -> str:
    """The engine that a lambda layer of these sizes takes by itself, on a CPU."""
    return select(*sizes.point("lambda, einsum").shapes)  # which are those of every engine


@lru_cache(maxsize=20_000)
def expected(kind: str, sizes: Sizes) -> Memory:
    return sizes.point(kind).expected(sizes.entry)


def terms(kind: str, sizes: Sizes, count: str) -> dict[str, Terms]:
    """What is counted, by what it is: entries, not bytes."""
    found = expected(kind, replace(sizes, layers=1) if count == "forward" else sizes)
    parts = {"maps": found.maps, "rest": found.rest, "work": found.work}
    wanted = {"maps": ("maps",), "kept": ("maps", "rest"), "peak": ("maps", "rest", "work")}.get(count)
    if wanted is None:  # forward: nothing is kept for later, but the work of an engine is done
        wanted = ("maps", "rest", "work") if kind.startswith("lambda") else ("maps", "rest")
    return {name: parts[name] for name in wanted}


@lru_cache(maxsize=20_000)
def size_of(kind: str, sizes: Sizes, count: str) -> int:
    """Bytes."""
    return sizes.entry * sum(total(part) for part in terms(kind, sizes, count).values())


@lru_cache(maxsize=20_000)
def flops(kind: str, sizes: Sizes, count: str = "kept") -> int:
    """Of the batch: forward alone, or forward and backward, three times as many."""
    return (1 if count == "forward" else 3) * total(flop_terms(kind, sizes))


def flop_terms(kind: str, sizes: Sizes) -> Terms:
    """Of a forward pass."""
    return sizes.point(kind).operations


@lru_cache(maxsize=20_000)
def seconds(kind: str, sizes: Sizes, count: str = "kept") -> float:
    """Estimated on one core: of a training step, or of its forward third. By constants of each kind of layer."""
    return step_time.seconds(sizes.point(kind)) / (3 if count == "forward" else 1)


def along(sizes: Sizes, axis: str) -> list[Sizes]:
    """The same with other values of one size, the chosen one among them."""
    values = sorted({*CHOICES[axis], getattr(sizes, axis)})
    found = [replace(sizes, **{axis: value}) for value in values]
    return [one for one in found if one.dim % one.heads == 0]


def largest_side(kind: str, sizes: Sizes, count: str, room: int) -> int:
    """The largest side whose bytes fit into `room`; 0 where none does, MOST_SIDE where all do."""
    return bisect_right(range(1, MOST_SIDE + 1), room, key=lambda side: size_of(kind, replace(sizes, side=side), count))


def rows(sizes: Sizes, axis: str, count: str) -> list[dict[str, Any]]:
    """The curves as a table: a row a kind and value of the axis."""
    return [
        {"layer": kind, **asdict(one), "engine": one.point(kind).kind, "bytes": size_of(kind, one, count),
         "flops": flops(kind, one, count), "seconds": seconds(kind, one, count)}
        for kind in KINDS for one in along(sizes, axis)
    ]  # fmt: skip


def said_time(time: float) -> str:
    """Seconds for people: 1.3 ms, 2.5 h, 15 years; at most three figures, but years are written out."""
    for unit, size in (("years", 31_557_600), ("d", 86_400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3)):
        if time >= size * (2 if size > 1 else 0.9995):  # what is rounded to 1000 ms is 1 s
            count = time / size
            return f"{count:,.0f} {unit}" if count >= 999.5 else f"{count:.3g} {unit}"
    return f"{time * 1e6:.3g} µs"


VERBS = {"kept": "keep", "maps": "store", "peak": "need", "forward": "need"}


def sentence(sizes: Sizes, count: str, room: int) -> str:
    """What happens at the chosen sizes, in words. room: of this machine, 0 where it is not known."""
    verb, several = VERBS[count], sizes.layers > 1 and count != "forward"
    big, small = size_of("global attention", sizes, count), size_of(AUTO, sizes, count)
    who = f"{sizes.layers} lambda layers {verb}" if several else f"A lambda layer {verb}s"
    lambdas = f"{who} {f'**{said(small)}**' if small else 'no map at all'}."
    attention = f"At side {sizes.side}, global attention would {verb} **{said(big)}**"
    if not room:
        return f"{attention}. {lambdas}"
    machine = f"the {said(room)} that this machine has"
    compared = f"{attention}: more than {machine}" if big > room else f"{attention} of {machine}"
    return f"{compared}. {lambdas} {_reach(sizes, count, room)}"


def _reach(sizes: Sizes, count: str, room: int) -> str:
    sides = [largest_side(kind, sizes, count, room) for kind in ("global attention", AUTO)]
    names = [f"up to side {side:,}" if side < MOST_SIDE else "on every map" for side in sides]
    return (
        f"Attention fits {names[0] if sides[0] else 'at no side'}, lambda layers {names[1] if sides[1] else 'at none'}."
    )


def dots(measured: Sequence[Mapping[str, Any]], sizes: Sizes, axis: str) -> list[Mapping[str, Any]]:
    """Those of the measured points that lie on a curve: as the sliders say, in all but the axis."""
    return [dot for dot in measured if replace(dot["sizes"], **{axis: getattr(sizes, axis)}) == sizes]
