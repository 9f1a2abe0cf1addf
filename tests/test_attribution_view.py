"""What the attributions page says of its methods: the symbols of the equations on show have their words."""

import re

import pytest

from explorer import attribution_view
from explorer.attribution_view import SYMBOLS, symbols
from lambda_core.attribution import METHODS
from tests.test_pages import start

NO_SYMBOL = r"\\(?:text|mathrm|begin|end)\{[^}]*\}|\\(?:bar|frac|int|left|max|partial|right|sum|tfrac)(?![A-Za-z])"


def letters(latex):
    return set(re.findall(r"\\[A-Za-z]+|[A-Za-z]", re.sub(NO_SYMBOL, "", latex)))


@pytest.mark.parametrize("name", METHODS)
def test_every_letter_of_an_equation_has_words(name):
    assert letters(METHODS[name].equation) - {"d"} == letters(" ".join(symbols([name])))  # the d of dt


def test_the_symbols_are_those_of_the_methods_on_show():
    assert symbols(["saliency"]) == ["F", "x", "c"]
    assert symbols(["grad_cam"]) == ["F", "c", "A", r"\bar g"]
    assert symbols(["integrated_gradients"]) == ["F", "x", "x'", "c", "t"]
    assert symbols(["smoothgrad"]) == ["F", "x", "c", "s", r"\varepsilon"]
    assert set(symbols(METHODS)) == set(SYMBOLS)


def test_the_page_says_what_the_symbols_are(monkeypatch):
    monkeypatch.setattr(attribution_view, "pending", lambda question, names: [])  # no maps: only what is said of them
    app = start("../pages/attributions.py")
    legend = next(caption.value for caption in app.caption if caption.value.startswith("$F$"))
    assert legend.count("$: ") == len(symbols(attribution_view.STARTS)) and r"$\bar g$: the mean" in legend
    assert "baseline" not in legend, "none of the methods that are on show at first has one"
