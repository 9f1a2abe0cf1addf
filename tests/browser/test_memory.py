"""The memory page in Chromium: a slider moves the sentence, measuring puts dots on the curves and can be cancelled."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import View, settle

SENTENCE = ".st-key-memory_sentence"
MEASURE, CANCEL = ".st-key-memory_measure button", ".st-key-memory_cancel button"
DOTS = ".st-key-memory_chart_memory .scatterlayer .trace path.point"


def test_a_slider_moves_the_sentence_the_chart_and_the_link(open_page: Callable[..., Page]):
    page = open_page("memory", sizes="s64-b8-l2")
    sentence = page.locator(SENTENCE)
    expect(sentence).to_contain_text("At side 64")
    page.get_by_role("slider", name="Side of the map, s").focus()
    page.keyboard.press("ArrowRight")
    expect(sentence).to_contain_text("At side 80", timeout=20_000)
    page.wait_for_url("**/memory?sizes=s80-b8-l2*", timeout=20_000)
    expect(page.locator(".st-key-memory_chart_memory")).to_contain_text("this machine")
    row = page.locator("details", has_text="Global attention").first
    row.locator("summary").click()
    expect(row).to_contain_text("2·8·8·6,400²")


@pytest.mark.long
def test_measuring_puts_a_dot_on_each_curve_and_can_be_cancelled(open_page: Callable[..., Page]):
    page = open_page("memory", sizes="s20-b1-l1-d64-h4")
    page.locator(MEASURE).first.click()
    expect(page.locator('[data-testid="stDataFrame"]')).to_be_visible(timeout=60_000)
    expect(page.locator(MEASURE).first).to_be_enabled(timeout=60_000)
    settle(page)
    expect(page.locator(DOTS)).to_have_count(6, timeout=20_000)  # two kinds of layer at s = 5, 10 and 20
    expect(page.locator(DOTS.replace("chart_memory", "chart_work"))).to_have_count(6)  # and what a step took
    page.locator(MEASURE).first.click()
    page.locator(CANCEL).first.click(timeout=20_000)
    expect(page.get_by_text("Cancelled after")).to_be_visible(timeout=20_000)
    expect(page.locator(MEASURE).first).to_be_enabled()


@pytest.mark.parametrize("view", [View(width=400, height=860)], ids=str)
def test_what_does_not_fit_is_refused(open_page: Callable[..., Page], view: View):
    page = open_page("memory", sizes="s512-b1024")
    page.locator(MEASURE).first.click()
    refusals = page.locator('[data-testid="stAlert"]', has_text="more than the")
    expect(refusals.first).to_be_visible(timeout=20_000)
    assert page.locator(CANCEL).count() == 0
