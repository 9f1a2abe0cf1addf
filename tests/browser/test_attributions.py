"""The attributions page in Chromium: click a class, brush a part away, give up long work, narrow and dark."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Server, View, address, settle

PATH = "attributions"
READY = "computing"  # the note of a map that is not there yet


@pytest.fixture
def shown(app: Server, page: Page) -> Page:
    """The page with its first maps."""
    page.goto(address(app, PATH))
    maps = page.get_by_test_id("heat-maps").first
    maps.wait_for(timeout=120_000)
    expect(maps.get_by_text(READY)).to_have_count(0, timeout=120_000)
    settle(page, 120)
    return page


def colours(page: Page, index: int) -> list[int]:
    """Every thousandth byte of a map's canvas."""
    canvas = page.get_by_test_id("heat-maps").first.locator("figure canvas").nth(index)
    return canvas.evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 1000 === 0)]"
    )


def test_another_class_has_other_maps_and_a_link(shown: Page) -> None:
    before = colours(shown, 1)
    shown.locator(".st-key-attribution_class button").nth(1).click()
    shown.wait_for_url(re.compile("target="), timeout=60_000)
    expect(shown.get_by_test_id("heat-maps").first.get_by_text(READY)).to_have_count(0, timeout=60_000)
    settle(shown)
    name = shown.get_by_test_id("brush").locator("h3").inner_text().removeprefix("Logit of ")
    assert name in shown.locator(".st-key-attribution_class button").nth(1).inner_text()
    shown.wait_for_timeout(200)
    assert colours(shown, 1) != before
    link = shown.url
    shown.goto("about:blank")
    shown.goto(link)
    expect(shown.get_by_test_id("brush").locator("h3")).to_have_text(f"Logit of {name}", timeout=120_000)


def test_the_pointer_reads_every_map_and_the_scale_stays_in_the_browser(shown: Page) -> None:
    maps = shown.get_by_test_id("heat-maps").first
    maps.locator("figure canvas").first.hover()
    expect(maps.locator(".here").nth(2)).to_contain_text("× the mean size")
    one = colours(shown, 3)
    maps.get_by_text("Each its own").click()
    shown.wait_for_timeout(200)
    assert colours(shown, 3) != one
    expect(maps.locator(".high")).to_contain_text("nearly its most")  # a few values in a hundred are larger
    assert shown.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').count() == 1


def test_keys_read_every_map(shown: Page) -> None:
    maps = shown.get_by_test_id("heat-maps").first
    maps.locator("figure canvas").nth(1).focus()
    values = set()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft"):
        shown.keyboard.press(key)
        expect(maps.locator(".here").nth(2)).to_contain_text("× the mean size")
        shown.wait_for_timeout(100)  # it is written with the next frame
        values.add(maps.locator(".here").nth(1).inner_text())
    assert len(values) > 1, "the place moves"
    assert [here.get_attribute("aria-live") for here in maps.locator(".here").all()][:3] == ["off", "polite", "off"]
    maps.locator("input[type=range]").focus()
    expect(maps.locator(".here").nth(1)).to_be_empty()


def test_a_stroke_changes_the_logit_and_clearing_brings_it_back(shown: Page) -> None:
    brush = shown.get_by_test_id("brush")
    canvas = brush.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    expect(brush.locator(".change")).to_have_text("paint something away")
    shown.mouse.move(x, y)
    shown.mouse.down()
    shown.mouse.move(x - 0.3 * box["width"], y - 0.2 * box["height"], steps=5)
    shown.mouse.move(x + 0.3 * box["width"], y + 0.2 * box["height"], steps=5)
    shown.mouse.up()
    expect(brush.locator(".change")).to_have_text(re.compile(r"^[+−]\d"))
    expect(shown.get_by_text(re.compile(r"Covered: [1-9]\d* %"))).to_be_visible()
    brush.get_by_role("button", name="Clear").click()
    expect(brush.locator(".change")).to_have_text("paint something away")


def test_another_picture_comes_uncovered_and_takes_the_same_stroke(shown: Page) -> None:
    """The second stroke is the first again, so nothing but the picture tells the two apart."""
    brush = shown.get_by_test_id("brush")
    for picture in ("coffee", "cat"):
        brush.locator("canvas").focus()
        shown.keyboard.press(" ")
        expect(shown.get_by_text(re.compile(r"Covered: [1-9]\d* %"))).to_be_visible()
        before, after, change = (
            float(brush.locator(f".{name}").inner_text().replace("−", "-")) for name in ("before", "after", "change")
        )
        assert after - before == pytest.approx(change, abs=1e-9), "what is shown adds up"
        if picture == "coffee":
            shown.locator(".st-key-pick_cat button").first.click()
            expect(shown.get_by_text("Covered: 0 %")).to_be_visible(timeout=60_000)
            assert brush.evaluate("root => root.brushApp.mask.some(Boolean)") is False
            settle(shown, 120)


def test_the_brush_has_keys(shown: Page) -> None:
    brush = shown.get_by_test_id("brush")
    brush.locator("canvas").focus()
    for key in ("ArrowLeft", "ArrowUp", " "):
        shown.keyboard.press(key)
    expect(shown.get_by_text(re.compile(r"Covered: [1-9]\d* %"))).to_be_visible()
    shown.keyboard.press("Delete")
    expect(shown.get_by_text("Covered: 0 %")).to_be_visible()


def test_long_work_can_be_given_up(shown: Page) -> None:
    shown.locator(".st-key-attribution_methods").get_by_text("Occlusion", exact=True).click()
    cancel = shown.get_by_role("button", name="Cancel")
    cancel.wait_for()
    started = time.monotonic()
    cancel.evaluate("button => button.click()")  # at once: the map may be ready in a second
    expect(cancel).to_have_count(0)
    settle(shown)
    assert time.monotonic() - started < 30
    assert shown.get_by_test_id("heat-maps").first.locator("figure").count() == 4, "the map that was given up is gone"


@pytest.mark.parametrize("view", [View(width=400, height=860, color_scheme="dark")], ids=str)
def test_it_fits_a_telephone_in_the_dark(shown: Page, view: View) -> None:
    assert shown.get_by_test_id("brush").get_attribute("data-theme") == "dark"
    main = shown.locator('[data-testid="stMain"]')
    assert main.evaluate("sheet => sheet.scrollWidth - sheet.clientWidth") <= 1
    box = shown.get_by_test_id("brush").locator("canvas").bounding_box()
    assert box and 300 < box["width"] <= 400
    wanted = shown.locator(".st-key-attribution_methods")
    wanted.get_by_text("DeepLIFT", exact=True).click()
    expect(shown.get_by_test_id("heat-maps").first.get_by_text(READY)).to_have_count(0, timeout=120_000)
    shown.get_by_text("What each method computes").click()
    equations = shown.get_by_test_id("stExpander").locator(".katex-display")
    expect(equations).to_have_count(5)
    cut = equations.evaluate_all("all => all.map(e => e.scrollWidth - e.clientWidth)")
    assert max(cut) <= 4, "no equation is cut off; KaTeX lets accents stand out by two pixels"
