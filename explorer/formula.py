"""The equations of a lambda layer beside their tensors and the code that computes them, on any page."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from explorer.components.formula import formula
from explorer.source import LETTERS, excerpt
from lambda_core.engines import ENGINES, attention, einsum
from lambda_core.functional import lambda_layer
from lambda_core.switching import HALVES

MEANING = {
    "b": "batch: pictures at once",
    "h": "heads: each reads the same lambda with a query of its own",
    "k": "depth of queries and keys: rows of a lambda",
    "v": "depth of values: columns of a lambda",
    "u": "intra-depth: every sum over positions runs over it too",
    "n": "queries: the pixels that ask",
    "m": "context: the positions that a pixel can draw on",
}
TENSORS = {
    "query": "queries: how each pixel and head reads its table",
    "keys": "keys, normalised as the layer does it: how much each key takes from each position",
    "values": "values: what there is at each position",
    "kernels": "position embeddings, learned: a number for each offset from n to m, key and u",
    "contentLambda": "content lambda: one table for the whole picture",
    "positionLambda": "position lambda: a table for each pixel",
    "lambda": "lambda: the table that a pixel’s query reads",
    "output": "output: what a pixel passes on",
    "positionWeights": "weights: how much a pixel takes from each position by its offset, not by what is there",
}
WEIGHTS = (
    "The position sum, k first: a weight for each pair n, m and each head. It is large, and nobody has to store it."
)


@dataclass(frozen=True)
class Equation:
    """An equation and what computes it.

    terms: what is typeset. "values:mvu" is a symbol of the canvas with its indices, "query:nk^h" one with an upper
    index as well, "∑mu" a sum, "#n" a letter that stands for its size; anything else is a sign.
    tensors: (symbol, axes in the order of the code); the last is the result. letters: how the code line calls each.
    """

    title: str
    says: str
    spoken: str
    terms: tuple[str, ...]
    tensors: tuple[tuple[str, str], ...]
    letters: tuple[str, ...]
    code: tuple[Callable, ...]
    line: bool = True  # whether it is one einsum

    @property
    def subscripts(self) -> str:
        """As einsum takes them: "kunm,bmvu->bnkv"."""
        *factors, result = (axes for _, axes in self.tensors)
        return f"{','.join(factors)}->{result}"


EQUATIONS = {
    "content": Equation(
        "Content lambda",
        "Each key map meets each value map. No n stands in it: one table serves all pixels of a picture.",
        "lambda c k v is the sum over m and u of K bar m k u times V m v u",
        ("contentLambda:kv", "=", "∑mu", "keys:mku", "values:mvu"),
        (("keys", "bmku"), ("values", "bmvu"), ("contentLambda", "bkv")),
        ("K̄", "V", "λc"),
        (lambda_layer,),
    ),
    "position": Equation(
        "Position lambda",
        "The letter n has joined: E knows the offset from n to m, so each pixel has a table of its own.",
        "lambda p n k v is the sum over m and u of E n m k u times V m v u",
        ("positionLambda:nkv", "=", "∑mu", "kernels:nmku", "values:mvu"),
        (("kernels", "kunm"), ("values", "bmvu"), ("positionLambda", "bnkv")),
        ("E", "V", "λp"),
        (einsum.position_lambdas, ENGINES["einsum"]),
    ),
    "output": Equation(
        "Output",
        "The query sums k away. The heads, h, share the lambda and differ in their query alone.",
        "y h n v is the sum over k of lambda n k v times q h n k",
        ("output:nv^h", "=", "∑k", "lambda:nkv", "query:nk^h"),
        (("query", "bhnk"), ("lambda", "bnkv"), ("output", "bhnv")),
        ("Q", "λ", "y"),
        (ENGINES["einsum"],),
    ),
    "attention": Equation(
        "Implied attention of the position half",
        f"{WEIGHTS} The content half adds q · K̄; both together are w = q · (K̄ + E).",
        "w p h n m u is the sum over k of q h n k times E n m k u",
        ("positionWeights:nmu^h", "=", "∑k", "query:nk^h", "kernels:nmku"),
        (("query", "bhnk"), ("kernels", "kunm"), ("positionWeights", "bhnmu")),
        ("Q", "E", "wp"),
        (attention.position_weights,),
    ),
    "cost": Equation(
        "Cost",
        "Multiply-adds of the position half by its definition. h stands outside the large product: heads are cheap.",
        "multiply-adds are b n k v times m u plus h",
        ("#b", "#n", "#k", "#v", "(", "#m", "#u", "+", "#h", ")"),
        (("kernels", "kunm"), ("values", "bmvu"), ("query", "bhnk"), ("positionLambda", "bnkv")),
        (),
        (einsum.cost,),
        line=False,
    ),
}

OF_STEP = {**dict.fromkeys(range(5), "content"), 5: "position", 6: "output", 7: "output", 8: "attention"}


def sizes(layer: Mapping[str, Any]) -> dict[str, int]:
    """How long each axis is in a layer on one picture, from `loading.describe`."""
    n = layer["height"] * layer["width"]
    return {
        "b": 1, "h": layer["heads"], "k": layer["dim_k"], "v": layer["dim_v"], "u": layer["dim_u"], "n": n, "m": n,
    }  # fmt: skip


def _packed(equation: Equation) -> dict[str, Any]:
    found = [excerpt(function) for function in equation.code]
    return {
        "title": equation.title, "says": equation.says, "spoken": equation.spoken, "terms": equation.terms,
        "tensors": equation.tensors, "letters": equation.letters,
        "named": [(symbol, TENSORS[symbol]) for symbol, _ in equation.tensors],
        "subscripts": equation.subscripts if equation.line else "",
        "code": [{"file": part.file, "name": part.name, "lines": part.lines} for part in found],
    }  # fmt: skip


def built(layer: Mapping[str, Any]) -> tuple[str, ...]:
    """The halves that a layer has, from `loading.describe`."""
    return tuple(half for half in HALVES if layer[half])


def equations(halves: Collection[str]) -> dict[str, Equation]:
    """Those of a layer with these halves, by name: nothing of E where there is none, nothing of K̄ without content."""
    if "position" in halves:
        if "content" in halves:
            return EQUATIONS
        alone = {name: equation for name, equation in EQUATIONS.items() if name != "content"}
        says = f"{WEIGHTS} There is no content half here, so this is all of w."
        return alone | {"attention": replace(alone["attention"], says=says)}
    output = replace(
        EQUATIONS["output"], code=(lambda_layer,),
        says="The query sums k away. There is no position half here: λ is the content lambda, for every n the same.",
    )  # fmt: skip
    return {"content": EQUATIONS["content"], "output": output} if "content" in halves else {}


def show(name: str, layer: Mapping[str, Any] | None = None, halves: Collection[str] = HALVES) -> None:
    """A section, closed at first, that opens at the equation `name`, or at the first where `name` is none of these.

    layer: see `sizes`; without one, no sizes. halves: those of the layer, or of the lambda layers of a network; where
    there are none, there is nothing to show.
    """
    offered = equations(built(layer) if layer else halves)
    if not offered:
        return
    formula(
        {
            "open": name if name in offered else next(iter(offered)), "meaning": MEANING, "letters": LETTERS,
            "sizes": sizes(layer) if layer else None,
            "equations": {key: _packed(equation) for key, equation in offered.items()},
        },
        key="formula",
    )  # fmt: skip
