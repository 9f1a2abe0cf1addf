"""What the picture of a network is drawn from: blocks, sums and the terms behind them, as JSON takes it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from explorer.architecture import Architecture
from explorer.blocks import BYTES, METRICS, Costs, measure
from explorer.letters import SAYS
from lambda_core.cost import Cost, Row, Term
from lambda_core.layers import LAYERS

# Families of layers by hue: grey for convolutions, violet for lambdas, and for attention the blue of softmax weights.
FAMILIES = {"C": "plain", "S": "gate", "L": "lambda", "D": "linear", "E": "linear", "G": "all", "X": "all", "A": "all"}
LETTERS = {  # of formulas: their hue and what they count
    "n": ("pixel", "queries: positions of the map"),
    "m": ("position", "context positions of one query"),
    "r": ("position", "side of a kernel or of the scope"),
    "k": ("key", "depth of queries and keys"),
    "v": ("value", "depth of values"),
    "u": ("lambda", "intra-depth"),
    "h": ("query", "heads"),
    "c": ("input", "channels in"),
    "d": ("input", "channels out"),
    "b": ("input", "images of a batch"),
    "l": ("input", "layers"),
    "g": ("input", "groups of channels"),
    "o": ("input", "offsets along an axis"),
    "s": ("input", "rows of the map, or the length of an axis"),
    "t": ("input", "columns of the map"),
}
SHOWN = 7  # lines of one block: the largest


class Line(NamedTuple):
    """Equal terms of several blocks: where they stand, how often, and one of them."""

    where: str
    times: int
    term: Term

    @property
    def value(self) -> int:
        return self.times * self.term.value


def entries(row: Row, metric: str, batch: int) -> Iterable[Term]:
    """The terms of a layer behind one metric. Activations: what it puts out, and what it keeps within."""
    if metric == "memory":
        side = row.output[1:]
        n = side[0] * side[1] if len(side) == 2 else 1
        if row.flops:
            yield Term("output", "b·d·n" if n > 1 else "b·d", {"b": batch, "d": row.output[0], "n": n})
        yield from row.stored
    else:
        yield from row.flops if metric == "flops" else row.params


PARTS = {
    "reduce": "1 × 1 down", "expand": "1 × 1 up", "mix": "", "end": "after it", "shortcut": "shortcut",
    "norm1": "norms", "norm2": "norms", "norm3": "norms", "to_q": "queries", "to_k": "keys", "to_v": "values",
    "to_weights": "weights", "to_gather": "gather", "to_features": "features",
}  # fmt: skip


def place(path: str, name: str) -> str:
    """Where in a block a term is counted, for people: "position lambda", "1 × 1 up"."""
    first, _, rest = path.partition(".")
    part = "between blocks" if first.isdigit() else PARTS.get(first, first)
    if part == "norms" or name.startswith("norm") or (first == "shortcut" and rest == "1"):
        return "norms"
    if name in ("convolution", "linear", "weight", "bias", "output") and part:
        return part
    name = PARTS.get(name.partition(".")[0], name)
    return name if not part else f"{part}, {name}"


def lines(costs: Iterable[Cost], metric: str) -> list[Line]:
    """The terms of some parts, equal ones together, in the order they come."""
    found: Counter[tuple[str, str, str, int]] = Counter()
    terms: dict[tuple[str, str, str, int], Term] = {}
    for cost in costs:
        for row in cost.rows:
            for term in entries(row, metric, cost.batch):
                key = (place(row.path, term.name), term.formula, term.substituted, term.value)
                found[key] += 1
                terms[key] = term
    return [Line(key[0], count, terms[key]) for key, count in found.items()]


def _kind(letter: str, cost: Cost) -> dict[str, Any]:
    """A block as the browser gets it: its numbers, and under each metric its largest terms."""
    terms: dict[str, list[list[Any]]] = {}
    for metric in METRICS:
        largest = sorted(lines([cost], metric), key=lambda line: -line.value)[:SHOWN]
        factor, end = (BYTES, f"·{BYTES}") if metric == "memory" else (1, "")
        terms[metric] = [
            [
                line.where, _times(line.times, line.term.formula) + (end and f"{end} bytes"),
                _times(line.times, line.term.substituted) + end, factor * line.value,
            ]
            for line in largest
        ]  # fmt: skip
    return {"letter": letter, **measure(cost), "terms": terms}


def _times(count: int, formula: str) -> str:
    inner = f"({formula})" if " + " in formula and count > 1 else formula
    return f"{count}·{inner}" if count > 1 else inner


def sums(costs: Costs) -> Iterator[tuple[str, dict[str, int]]]:
    """Each part of a network by name, with its numbers."""
    yield "stem", measure(costs.stem)
    for stage in costs.stages:
        yield stage.name, {name: sum(measure(part)[name] for part in (*stage.blocks, stage.rest)) for name in METRICS}
    yield "classifier", measure(costs.head)


def picture(architecture: Architecture, costs: Costs, other: Architecture, others: Costs) -> dict[str, Any]:
    """An architecture, beside another, for the component: equal blocks once, under "kinds"."""
    kinds: dict[int, int] = {}
    described: list[dict[str, Any]] = []

    def index(letter: str, cost: Cost) -> int:
        if id(cost) not in kinds:
            kinds[id(cost)] = len(described)
            described.append(_kind(letter, cost))
        return kinds[id(cost)]

    beside = dict(sums(others))
    theirs = {stage.name: [measure(block) for block in stage.blocks] for stage in others.stages}
    mine = dict(sums(costs))
    stages = [
        {
            "name": stage.name, "side": stage.side, "width": stage.width, "out": stage.out, "letters": stage.letters,
            "blocks": [index(*pair) for pair in zip(stage.letters, stage.blocks, strict=True)],
            "sum": mine[stage.name], "beside": beside.get(stage.name), "theirs": theirs.get(stage.name, []),
        }
        for stage in costs.stages
    ]  # fmt: skip
    return {
        "stem": {**_kind("", costs.stem), "beside": beside["stem"]},
        "head": {**_kind("", costs.head), "beside": beside["classifier"]},
        "stages": stages, "kinds": described, "fixed": architecture.fixed, "size": architecture.size,
        "total": measure(costs.whole), "reference": measure(others.whole), "title": architecture.title,
        "other": other.title, "same": architecture == other, "metrics": METRICS,
        "letters": [[letter, FAMILIES.get(letter, "local"), SAYS[letter]] for letter in LAYERS],
        "hues": {letter: hue for letter, (hue, _) in LETTERS.items()},
    }  # fmt: skip
