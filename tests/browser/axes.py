"""A letter of the formula lights up its axis on a canvas, and nothing stays lit when the pointer has left."""

from collections.abc import Mapping

from playwright.sync_api import Page


def check_letters(page: Page, find: str, face: str, letters: Mapping[str, Mapping[str, str]]) -> None:
    """Point at each letter and compare what is lit. find: JavaScript that gives the component; face: of its tests."""
    shot = f"() => ({find})().querySelector('canvas').toDataURL()"
    lit = f"() => ({find})().{face}.axes()"
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    before = page.evaluate(shot)
    formula = page.get_by_test_id("formula")
    formula.locator("summary").click()
    for letter, expected in letters.items():
        formula.locator(f'.letters [data-axis="{letter}"]').hover()
        page.wait_for_function(f"() => ({find})().{face}.axis === '{letter}'")
        page.wait_for_timeout(100)
        assert page.evaluate(lit) == expected
        assert (page.evaluate(shot) != before) == bool(expected)
    page.get_by_test_id("headline").hover()
    page.wait_for_function(f"() => ({find})().{face}.axis === ''")
    page.wait_for_timeout(100)
    assert page.evaluate(lit) == {} and page.evaluate(shot) == before
