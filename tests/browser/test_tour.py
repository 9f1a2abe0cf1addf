"""The tour and the formulas in Chromium: a letter lights up everywhere, a task ticks, wide, narrow and in the dark."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.driver import View, settle

NARROW = View(width=400, height=860, color_scheme="dark")


def opened(page: Page) -> Locator:
    formula = page.get_by_test_id("formula")
    formula.get_by_text("Formula and code", exact=True).click()
    formula.get_by_role("tablist").wait_for()
    return formula


def lit(formula: Locator) -> dict[str, list[str]]:
    """The letters that are lit, by the part of the section that they are in."""
    return formula.evaluate(
        """root => Object.fromEntries(["letters", "equation", "einsum", "tensors", "source"].map(part =>
            [part, [...root.querySelectorAll(`.${part} .lit`)].map(element => element.dataset.axis)]))"""
    )


@pytest.mark.parametrize("view", [View(), NARROW], ids=str)
def test_a_letter_lights_up_everywhere(open_page: Callable[..., Page], view: View) -> None:
    page = open_page("/lambda_layer", step=5)
    formula = opened(page)
    assert not any(lit(formula).values())
    formula.locator(".equation [data-axis=k]").first.hover()
    found = lit(formula)
    assert all(found.values()), f"not lit everywhere: {found}"
    assert {letter for letters in found.values() for letter in letters} == {"k"}
    assert len(found["equation"]) == 2 and len(found["einsum"]) == 2  # of λp and of E
    source = formula.locator(".source .line").filter(has_text='einsum("kunm,bmvu->bnkv"')
    assert source.locator(".lit").count() == 2
    expect(formula.locator(".meaning")).to_contain_text("depth of queries and keys")
    page.mouse.move(5, 5)
    assert not any(lit(formula).values())
    overflow = page.get_by_test_id("stMain").evaluate("sheet => sheet.scrollWidth - sheet.clientWidth")
    assert overflow <= 1


def test_the_keyboard_holds_a_letter_and_lets_it_go(open_page: Callable[..., Page]) -> None:
    page = open_page("/scope")
    formula = opened(page)
    formula.locator(".letters button").first.focus()
    assert set(lit(formula)["tensors"]) == {"b"}
    page.keyboard.press("m")
    assert set(lit(formula)["source"]) == {"m"}
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert "m" not in lit(formula)["equation"]
    formula.get_by_role("tab", name="Position lambda").focus()
    page.keyboard.press("ArrowRight")
    expect(formula.get_by_role("tab", name="Output")).to_have_attribute("aria-selected", "true")
    expect(formula.locator(".einsum")).to_have_text('y = einsum("bhnk,bnkv->bhnv", Q, λ)')


def test_a_task_ticks_and_the_next_one_is_proposed(open_page: Callable[..., Page]) -> None:
    page = open_page("/content_position", image="cat")
    line = page.locator(".st-key-tour_line")
    expect(line).to_contain_text("Switch halves off")
    for preset in ("Neither", "Content only", "Position only"):  # one of them changes the answer
        page.get_by_role("button", name=preset, exact=True).click()
        settle(page)
    expect(line).to_contain_text("1 of")
    line.get_by_role("link").click()
    page.wait_for_url("**/lambda_layer*")
    settle(page)


def test_the_line_can_be_hidden(open_page: Callable[..., Page]) -> None:
    page = open_page("/architectures")
    line = page.locator(".st-key-tour_line")
    line.get_by_role("button", name="Hide").click()
    expect(line).to_have_count(0)
