"""Every page opens: narrow and wide, dark and light, without an error and without leaving this machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import PAPER, ROOT, Server, View, Watch, address, settle

PAGES = sorted(ROOT.glob("pages/*.py"))
SHEET = '[data-testid="stMain"]'


def path_of(page: Path) -> str:
    """Where a page file is served."""
    return "/" if page.stem == "home" else f"/{page.stem}"


def fits(page: Page) -> None:
    """Nothing sticks out sideways, and no choice of a row of choices is cut off."""
    overflow = page.locator(SHEET).evaluate("sheet => sheet.scrollWidth - sheet.clientWidth")
    assert overflow <= 1, f"the page scrolls sideways by {overflow} px"
    for group in page.get_by_test_id("stButtonGroup").all():
        left, right = group.evaluate("e => [e.getBoundingClientRect().left, e.getBoundingClientRect().right]")
        for choice in group.get_by_role("radio").all():
            place = choice.bounding_box()
            assert place and left <= place["x"] and place["x"] + place["width"] <= right + 1, choice.inner_text()


@pytest.mark.parametrize("view", [View(width=400, height=860, color_scheme="dark")], ids=str)
@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_a_page_opens_and_follows_its_window(open_page: Callable[..., Page], file: Path, view: View, watch: Watch):
    page = open_page(path_of(file))
    page.locator(SHEET).locator("h1, h2").first.wait_for()  # also a component's own, in its shadow root
    assert page.title()
    expect(page.locator("#cover")).to_have_count(0)
    expect(page.get_by_test_id("formula").get_by_text("Formula and code", exact=True)).to_be_visible()
    assert any("/_stcore/" in url for url in watch.requests), "the watch sees no requests"
    paper = page.get_by_test_id("stApp")
    expect(paper).to_have_css("background-color", PAPER["dark"])
    fits(page)
    page.emulate_media(color_scheme="light")  # as a system that turns light in the morning
    expect(paper).to_have_css("background-color", PAPER["light"])
    settle(page)
    fits(page)
    page.set_viewport_size({"width": 1440, "height": 1000})
    settle(page)
    fits(page)


@pytest.mark.parametrize("view", [View(), View(width=400, height=860, color_scheme="dark")], ids=str)
def test_a_cover_stands_while_the_client_loads(app: Server, page: Page, view: View) -> None:
    page.route("**/static/js/index.*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(address(app, "scope"))
    cover = page.locator("#cover")
    expect(cover.get_by_role("heading", name="Scope")).to_be_visible()
    expect(cover).to_have_css("background-color", PAPER[view.color_scheme])
    box = cover.locator("p").bounding_box()
    assert box and box["x"] >= 16 and box["x"] + box["width"] <= view.width - 16
