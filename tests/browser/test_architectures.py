"""The architectures page in Chromium: a click swaps a block, and what is shown is `profile(build(...))`."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from playwright.sync_api import Page

from lambda_core import build
from lambda_core.cost import profile
from tests.browser.driver import View, settle

PATH = "architectures"
FIND = """() => {
  const visit = root => {
    for (const element of root.querySelectorAll('*')) {
      if (element.networkCanvas) return element.networkCanvas;
      const found = element.shadowRoot && visit(element.shadowRoot);
      if (found) return found;
    }
  };
  return visit(document);
}"""


def answered(page: Page, number: int) -> None:
    """Until the numbers of edit `number` are drawn."""
    page.wait_for_function(f"() => {{ const n = ({FIND})(); return n && n.data?.answered >= {number}; }}")


def block(page: Page, stage: str, number: int) -> Any:
    return page.get_by_role("button", name=f"Stage {stage}, block {number}:")


def totals(page: Page) -> dict[str, int]:
    return {
        metric: int(page.locator(f'[data-total="{metric}"]').get_attribute("data-value") or -1)
        for metric in ("params", "flops", "memory")
    }


def expected(name: str, **options: Any) -> dict[str, int]:
    with torch.device("meta"):
        cost = profile(build(name, **options), 224, batch=8)
    return {"params": cost.params, "flops": cost.flops, "memory": 4 * (cost.activations + cost.stored)}


def test_a_click_swaps_a_block_and_the_numbers_are_those_of_the_network(open_page: Callable[..., Page]):
    page = open_page(PATH, net="resnet26~CCLL")
    block(page, "c3", 2).click()
    answered(page, 1)
    assert totals(page) == expected("resnet26", stages="C-CL-L-L")
    page.wait_for_url(re.compile(r"net=resnet26~C-CL-L-L"))
    block(page, "c3", 2).click()  # again: back to the convolution
    answered(page, 2)
    assert totals(page) == expected("resnet26", stages="CCLL")

    page.locator('[data-brush="S"]').click()
    block(page, "c2", 1).click(modifiers=["Shift"])
    answered(page, 3)
    assert totals(page) == expected("resnet26", stages="SCLL")

    block(page, "c5", 1).focus()  # keys: a letter swaps, arrows move, shift and a letter swap the stage
    page.keyboard.press("c")
    answered(page, 4)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+C")
    answered(page, 5)
    assert totals(page) == expected("resnet26", stages="S-C-C-CL")
    page.wait_for_url(re.compile(r"net=resnet26~S-C-C-CL"))


def test_a_drag_paints_and_a_hovered_block_shows_its_terms(open_page: Callable[..., Page]):
    page = open_page(PATH, net="resnet26~CCCC")
    page.locator('[data-brush="L"]').click()
    block(page, "c4", 1).hover()
    page.mouse.down()
    block(page, "c4", 2).hover()
    block(page, "c5", 1).hover()
    page.mouse.up()
    answered(page, 1)
    with torch.device("meta"):
        cost = profile(build("resnet26", stages="C-C-L-LC"), 224, batch=8)
    assert totals(page)["flops"] == cost.flops
    block(page, "c4", 2).hover()
    part = cost.under("stages.2.1")
    assert page.locator('[data-fact="flops"]').get_attribute("data-value") == str(part.flops)
    terms = page.get_by_test_id("terms").inner_text()
    assert "2·n·m·k·v·u" in terms
    shown = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+)\s*$", terms, re.MULTILINE)]
    assert sum(shown) == part.flops


def test_a_row_of_the_paper_is_a_preset_and_its_number_opens_its_derivation(open_page: Callable[..., Page]):
    page = open_page(PATH)
    table = page.get_by_test_id("paper-table")
    table.get_by_role("button", name="LLLL", exact=True).click()
    page.wait_for_url(re.compile(r"net=resnet50~LLLL"))
    settle(page)
    assert totals(page)["params"] == 14_995_592
    page.wait_for_function("() => document.querySelector('[data-testid=stMain]').scrollTop === 0")  # where it is drawn
    table.get_by_role("button", name="15.4", exact=True).click()
    page.wait_for_selector(".derivation")
    settle(page)
    words = page.locator(".st-key-derivation").inner_text()
    assert "CCCC + LLLL − LLCC" in words and "15,559,736" in words
    parts = [int(text.replace(",", "")) for text in page.locator(".derivation summary b").all_inner_texts()]
    assert sum(parts) == 15_559_736
    table.get_by_role("button", name="15.4", exact=True).click()
    page.wait_for_selector(".derivation", state="detached")


@pytest.mark.long
def test_a_measurement_runs_to_its_end(open_page: Callable[..., Page]):
    page = open_page(PATH, net="lambda_resnet_mini~CCLL~px64")
    page.locator('[data-testid="stMain"]').get_by_role("button", name="Measure").first.click()
    page.get_by_text(re.compile(r"pass \d+ of 16")).wait_for()
    page.get_by_text(re.compile(r"4 at once, \d+ thread")).wait_for(timeout=120_000)
    settle(page)
    assert page.locator('[data-testid="stMain"]').get_by_role("button", name="Measure").first.is_enabled()


@pytest.mark.parametrize("view", [View(width=400, height=860, color_scheme="dark")], ids=str)
def test_a_deep_network_fits_a_phone_in_the_dark(open_page: Callable[..., Page]):
    page = open_page(PATH, net="resnet152_d~SSLL~px256", beside="san19")
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("sheet => sheet.scrollWidth - sheet.clientWidth") <= 1
    assert page.locator(".network").get_attribute("data-theme") == "dark"
    places = [chart.bounding_box() for chart in page.locator('[class*="st-key-twins_"]').all()]
    assert places and all(place and place["x"] + place["width"] <= 400 for place in places)
    assert all(above["y"] + above["height"] <= below["y"] for above, below in pairwise(places))
    last = block(page, "c4", 36)
    last.scroll_into_view_if_needed()
    box = last.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 400 and box["width"] >= 24
    last.click()
    answered(page, 1)
    assert page.evaluate(f"() => ({FIND})().letters[2].at(-1)") == "C"


def test_why_a_link_does_not_fit_stands_above_the_bench_until_the_next_change(open_page: Callable[..., Page]):
    page = open_page(PATH, net="resnet50~QQQQ")
    said = page.get_by_text("no layer has the letter Q")
    said.wait_for()
    where, bench = said.bounding_box(), block(page, "c2", 1).bounding_box()
    assert where and bench and where["y"] + where["height"] < bench["y"]
    block(page, "c3", 2).click()
    answered(page, 1)
    said.wait_for(state="hidden")
