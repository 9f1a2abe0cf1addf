"""The watch itself: each kind of trouble, on an app made to have it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.driver import EXCEPTION, Server, View, Watch, address, running_app, settle

TROUBLED_APP = """
import streamlit as st

st.write("hello")
trouble = st.query_params.get("trouble")
if trouble == "exception":
    raise ValueError("on purpose")
if trouble == "foreign":
    st.html("<img src='http://elsewhere.invalid/picture.png' alt=''>")
if trouble == "missing":
    st.html("<img src='/media/none.png' alt=''>")
if trouble == "uncaught":
    st.html("<script>setTimeout(() => { throw new Error('on purpose') })</script>", unsafe_allow_javascript=True)
"""


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    entry = tmp_path_factory.mktemp("app") / "app.py"
    entry.write_text(TROUBLED_APP)
    with running_app(entry=str(entry)) as server:
        yield server


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("none", ""),
        ("foreign", "request to another host: http://elsewhere.invalid/picture.png"),
        ("missing", "failed answer: 404"),
        ("uncaught", "uncaught exception: on purpose"),
    ],
)
def test_the_watch_sees(troubled: Server, browser: BrowserContext, watch: Watch, trouble: str, said: str) -> None:
    page = View().page(browser)
    watch.follow(page)
    page.goto(address(troubled, trouble=trouble))
    settle(page)
    page.wait_for_timeout(300)
    page.close()
    assert watch.requests
    assert said in "\n".join(watch.problems())
    assert bool(said) == bool(watch.problems())


def test_an_exception_shows_on_the_page_and_on_the_server(troubled: Server, browser: BrowserContext) -> None:
    page = View().page(browser)
    page.goto(address(troubled, trouble="exception"))
    settle(page)
    assert page.locator(EXCEPTION).count() == 1
    page.close()
    assert "ValueError: on purpose" in troubled.errors()
    assert "ValueError" not in troubled.errors(troubled.log.stat().st_size)


def test_settling_waits_for_what_is_still_to_be_drawn(troubled: Server, browser: BrowserContext) -> None:
    page = View().page(browser)
    page.goto(address(troubled))
    settle(page)
    page.evaluate(
        """() => {
            const place = document.createElement("div");
            place.dataset.testid = "stSkeleton";
            document.body.append(place);
            setTimeout(() => { place.remove(); window.drawn = true }, 700);
        }"""
    )
    settle(page)
    assert page.evaluate("() => window.drawn")
    page.close()
