"""The memory page in Chromium: a slider moves the sentence, measuring puts dots on the curves and can be cancelled."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

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
    expect(sentence).to_contain_text("At side 80")
    page.wait_for_url("**/memory?sizes=s80-b8-l2*")
    expect(page.locator(".st-key-memory_chart_memory")).to_contain_text("this machine")
    row = page.locator("details", has_text="Global attention").first
    row.locator("summary").click()
    expect(row).to_contain_text("2·8·8·6,400²")


BOXES = "all => all.map(each => { const b = each.getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom] })"


@pytest.mark.parametrize("view", [View(400, 860)], ids=str)
def test_every_formula_and_its_value_is_in_sight(open_page: Callable[..., Page], view: View):
    page = open_page("memory", sizes="s160-h1", count="peak")
    page.evaluate("() => document.querySelectorAll('.derivation details').forEach(each => { each.open = true })")
    widths = "all => all.map(each => [each.scrollWidth - each.clientWidth, each.getBoundingClientRect().right])"
    for over, right in page.locator(".derivation .terms").evaluate_all(widths):
        assert over <= 0 and right <= view.width
    opened = page.locator(".derivation details", has_text="(gemm engine)")
    expect(opened.locator(".terms td:last-child", has_text="117,964,800")).to_be_visible()
    expect(opened).to_contain_text("f frequencies of the transform")


def corner_is_clear(chart: Locator) -> None:
    """The first label of the axis below keeps apart from those of the axis beside."""
    expect(chart.locator(".xtick text").first).to_be_visible()
    first = chart.locator(".xtick text").evaluate_all(BOXES)[0]
    for left, right, top, bottom in chart.locator(".ytick text").evaluate_all(BOXES):
        aside = max(first[0] - right, left - first[1])
        assert max(aside, first[2] - bottom, top - first[3]) >= 4


@pytest.mark.parametrize("view", [View(), View(400, 860)], ids=str)
def test_the_charts_have_one_legend_and_room_for_every_label(open_page: Callable[..., Page], view: View):
    page = open_page("memory")
    entries = page.locator(".st-key-memory_curves button")
    expect(entries).to_have_count(12)
    for left, right, _, _ in entries.evaluate_all(BOXES):
        assert left >= 0 and right <= view.width
    for name in ("memory", "work"):
        corner_is_clear(page.locator(f".st-key-memory_chart_{name}"))
    curves = [page.locator(f".st-key-memory_chart_{name} .scatterlayer .trace") for name in ("memory", "work")]
    for lines in curves:
        expect(lines).to_have_count(7)
    entries.filter(has_text="Axial attention").click()
    for lines in curves:
        expect(lines).to_have_count(6)
    expect(page.locator(".st-key-memory_charts .legend .traces")).to_have_count(0)


@pytest.mark.long
def test_measuring_puts_a_dot_on_each_curve_and_can_be_cancelled(open_page: Callable[..., Page]):
    page = open_page("memory", sizes="s20-b1-l1-d64-h4")
    page.locator(MEASURE).first.click()
    expect(page.locator('[data-testid="stDataFrame"]')).to_be_visible(timeout=60_000)
    expect(page.locator(MEASURE).first).to_be_enabled(timeout=60_000)
    settle(page)
    expect(page.locator(DOTS)).to_have_count(6)  # two kinds of layer at s = 5, 10 and 20
    expect(page.locator(DOTS.replace("chart_memory", "chart_work"))).to_have_count(6)  # and what a step took
    page.locator(MEASURE).first.click()
    page.locator(CANCEL).first.click()
    expect(page.get_by_text("Cancelled after")).to_be_visible()
    expect(page.locator(MEASURE).first).to_be_enabled()


@pytest.mark.parametrize("view", [View(width=400, height=860)], ids=str)
def test_what_does_not_fit_is_refused(open_page: Callable[..., Page], view: View):
    page = open_page("memory", sizes="s512-b1024")
    page.locator(MEASURE).first.click()
    refusals = page.locator('[data-testid="stAlert"]', has_text="more than the")
    expect(refusals.first).to_be_visible()
    assert page.locator(CANCEL).count() == 0
