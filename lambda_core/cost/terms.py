"""A count that carries its own derivation: the formula is what is computed, so its text cannot disagree with it."""

import re
from collections.abc import Callable, Iterable, Mapping
from math import prod
from types import MappingProxyType
from typing import NamedTuple

NOTHING: Mapping[str, int] = MappingProxyType({})


class Term(NamedTuple):
    """`formula` is a sum of products of letters and integers, "2·n·m·k·v·u" or "r²·k + k"; `values` are the letters.

    Raises KeyError, when its value is asked for, if a letter has no value.
    """

    name: str
    formula: str
    values: Mapping[str, int] = NOTHING

    @property
    def value(self) -> int:
        """The number: a count of parameters, of FLOPs or of stored entries, as the caller has it."""
        return sum(prod(self._factor(factor) for factor in product.split("·")) for product in self.formula.split(" + "))

    @property
    def substituted(self) -> str:
        """The formula with numbers for letters: 2·3136·529·16·16·1"""
        return re.sub("[A-Za-z]+", lambda letter: str(self.values[letter[0]]), self.formula)

    def __str__(self) -> str:
        steps = (self.formula, self.substituted, f"{self.value:,}")
        return f"{self.name}: {' = '.join(dict.fromkeys(steps))}"

    def _factor(self, text: str) -> int:
        base = text.removesuffix("²")
        number = int(base) if base.isdigit() else self.values[base]
        return number**2 if text.endswith("²") else number


Terms = tuple[Term, ...]


def total(terms: Iterable[Term]) -> int:
    """The sum of their values."""
    return sum(term.value for term in terms)


def of_shape(name: str, letters: str, shape: Iterable[int], factor: str = "", **values: int) -> Term:
    """The product of a shape's sides, a letter each: of_shape("weight", "dcrs", (64, 3, 7, 7)) is d·c·r².

    Kernels are written as people do: sides r and s of 1 are left out, and r·s is r² where they are equal. `factor`,
    with its `values`, goes in front.
    """
    sides = dict(zip(letters, shape, strict=True))
    kernel = {letter: side for letter, side in sides.items() if letter in "rs" and side > 1}
    written = [letter for letter in sides if letter not in "rs" or letter in kernel]
    if len(kernel) == 2 and kernel["r"] == kernel["s"]:
        written.remove("s")
        written[written.index("r")] = "r²"
    return Term(name, "·".join([factor, *written] if factor else written) or "1", sides | values)


class Counts(NamedTuple):
    """FLOPs of one call on one image, and the numbers it stores for a batch of b: λ, gathered E, attention maps."""

    flops: Terms = ()
    stored: Terms = ()


Formula = Callable[..., Counts]  # (module, input shape with a batch of 1, output shape, b) -> Counts
