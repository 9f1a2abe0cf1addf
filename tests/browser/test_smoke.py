"""Every page opens: wide and narrow, light and dark, without an error and without leaving this machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import ROOT, View, Watch

PAGES = sorted(ROOT.glob("pages/*.py"))
VIEWS = [View(), View(width=400, height=860, color_scheme="dark")]
SHEET = '[data-testid="stMain"]'


def path_of(page: Path) -> str:
    """Where a page file is served."""
    return "/" if page.stem == "home" else f"/{page.stem}"


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.stem)
def test_a_page_opens(open_page: Callable[..., Page], file: Path, view: View, watch: Watch) -> None:
    page = open_page(path_of(file))
    main = page.locator(SHEET)
    main.locator("h1, h2").first.wait_for()  # also a component's own, in its shadow root
    assert page.title()
    expect(page.get_by_test_id("formula").get_by_text("Formula and code", exact=True)).to_be_visible()
    assert any("/_stcore/" in url for url in watch.requests), "the watch sees no requests"
    overflow = main.evaluate("sheet => sheet.scrollWidth - sheet.clientWidth")
    assert overflow <= 1, f"the page scrolls sideways by {overflow} px at {view}"


def test_pages_follow_the_color_scheme(open_page: Callable[..., Page], page: Page) -> None:
    shades = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        open_page("/")
        shades.append(page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor"))
    assert shades == ["rgb(255, 255, 255)", "rgb(17, 20, 25)"]


def test_the_browsers_own_buttons_work(open_page: Callable[..., Page], page: Page) -> None:
    """Back and forward return to pages that still work."""
    for file in PAGES[:2]:
        open_page(path_of(file))
    page.go_back()
    page.wait_for_selector(SHEET)
    page.go_forward()
    page.wait_for_selector(SHEET)
