"""What the attributions page says of its methods: the symbols of the equations on show have their words."""

import re

import pytest

from explorer import attribution_view, attributions
from explorer.attribution_view import SYMBOLS, symbols
from lambda_core.attribution import METHODS
from tests.test_attributions_page import CHEAP, PAGE, fast
from tests.test_pages import said, start

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


def test_the_methods_are_in_the_address(monkeypatch):
    fast(monkeypatch)
    app = start(PAGE)
    assert "methods" not in app.query_params
    for chosen, text in ((["saliency"], "saliency"), ([], "none"), (CHEAP, None)):
        app.button_group(key="attribution_methods").set_value(chosen).run()
        assert not app.exception and app.query_params.get("methods") == text


@pytest.mark.parametrize(("text", "chosen"), [("none", []), ("saliency,unicorn", ["saliency"]), ("<b>", CHEAP)])
def test_a_link_chooses_the_methods(monkeypatch, text, chosen):
    fast(monkeypatch)
    app = start(PAGE, methods=text)
    assert app.button_group(key="attribution_methods").value == chosen
    assert ("names a method that there is not" in said(app)) == (text != "none")


def test_what_is_checked_and_covered_stays_chosen_for_a_new_question(monkeypatch):
    """Also of a method whose map comes after others."""
    fast(monkeypatch)
    app = start(PAGE)
    app.button_group(key="attribution_methods").select("integrated_gradients").run()
    boxes = ("attribution_checked", "attribution_hot")
    for key in boxes:
        app.selectbox(key=key).set_value("integrated_gradients").run()
    app.button_group(key="attribution_layer").set_value("stages.3.1.mix").run()
    app.button(key="pick_cat").click().run()
    assert not app.exception
    assert [app.selectbox(key=key).value for key in boxes] == ["integrated_gradients"] * 2


def test_a_map_that_failed_is_not_said_to_be_computed(monkeypatch):
    fast(monkeypatch)
    quick, notes = attributions.WORK["map"], []

    def refuse(question, name, progress):
        if name == "grad_cam":
            raise ValueError("the layer has no map")
        return quick(question, name, progress)

    monkeypatch.setitem(attributions.WORK, "map", refuse)
    monkeypatch.setattr(attribution_view, "heat_maps", lambda _jpeg, _title, tiles, key: notes.append(
        {tile.title: tile.note for tile in tiles}
    ))  # fmt: skip
    app = start(PAGE)
    for key in ("attribution_checked", "attribution_hot"):
        app.selectbox(key=key).set_value("grad_cam").run()
    title = METHODS["grad_cam"].title
    assert notes[0][title] == "computing" and notes[-1][title] == "not computed"
    assert f"The map of {title}: not computed." in [caption.value for caption in app.caption]
    assert app.button(key="attribution_cover").disabled
