"""Fixtures of the browser tests: one server, one browser, and for each test a page that is watched to its end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect, sync_playwright

from tests.browser.driver import EXCEPTION, Server, View, Watch, address, open_profile, running_app, settle

HERE = Path(__file__).parent
expect.set_options(timeout=30_000)  # a busy machine is no failure


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder is a browser test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def app() -> Iterator[Server]:
    """The app, started once."""
    with running_app() as server:
        yield server


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Chromium, started once, with a profile: it keeps Streamlit's scripts compiled, a quarter of a page's load."""
    context = open_profile(playwright, tmp_path_factory.mktemp("profile"))
    yield context
    context.close()


@pytest.fixture
def view() -> View:
    """The window; a test asks for others with @pytest.mark.parametrize("view", [View(width=400)], ids=str)."""
    return View()


@pytest.fixture
def watch() -> Watch:
    """What the page of this test did so far: its requests, its errors."""
    return Watch()


@pytest.fixture
def page(app: Server, browser: BrowserContext, view: View, watch: Watch) -> Iterator[Page]:
    """A fresh page. The test fails at its end on any error, in the browser or on the server."""
    log_start = app.log.stat().st_size
    page = view.page(browser)
    watch.follow(page)
    yield page
    problems = [f"exception block: {block.inner_text()}" for block in page.locator(EXCEPTION).all()]
    page.evaluate("() => localStorage.clear()")  # nothing but the cache is for the next test
    browser.clear_cookies()
    for each in browser.pages[1:]:  # with its first page the browser would end
        each.close()
    problems += watch.problems()
    said = app.errors(log_start)
    if "Traceback (most recent call last)" in said:
        problems.append(f"server: {said}")
    assert not problems, "\n".join(problems)


@pytest.fixture
def open_page(app: Server, page: Page) -> Callable[..., Page]:
    """open_page(path, **query): go there and wait until Streamlit has finished."""

    def go(path: str = "/", **query: object) -> Page:
        page.goto(address(app, path, **query))
        settle(page)
        return page

    return go
