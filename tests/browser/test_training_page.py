"""The training page in Chromium: a run's whole life, two people at once, and a third who has to wait."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from lambda_core import LambdaLayer, load_checkpoint
from tests.browser.driver import Server, View, address, settle

PATH = "training"
SLOW = 180_000  # milliseconds that a step may take on a busy machine


def children(server: Server) -> list[str]:
    """Training processes that the server started and that still run: their command lines."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_text()
        except OSError:  # it has just ended
            continue
        if parent == server.pid and "explorer.ward" in command:
            found.append(command)
    return found


def press(page: Page, name: str) -> None:
    page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True).click()


def delete(page: Page) -> None:
    """Ask for it, and say yes."""
    page.locator(".st-key-run_delete button").first.click()
    page.get_by_test_id("stPopoverBody").get_by_role("button", name="Delete this run").click()


def begin(page: Page) -> None:
    """Order as many epochs of digits as there can be, and wait until the run is shown."""
    page.locator(".st-key-epochs_digits input[type=range]").press("End")
    settle(page)
    press(page, "Train")
    page.wait_for_url(re.compile("run="), timeout=SLOW)


def to_training(page: Page) -> None:
    """By the menu, as a visitor comes back."""
    page.get_by_test_id("stHeader").get_by_text("Train", exact=True).click()
    page.get_by_test_id("stTopNavDropdownLink").get_by_text("Training", exact=True).click()
    page.wait_for_url(re.compile("training"), timeout=SLOW)


def points(page: Page) -> int:
    """Points of the loss as drawn."""
    return page.evaluate("() => document.querySelector('.js-plotly-plot')?.data?.[0]?.y?.length ?? 0")


def grown(page: Page, seen: int) -> None:
    """Wait until the loss has more than `seen` points."""
    page.wait_for_function(
        "seen => document.querySelector('.js-plotly-plot')?.data?.[0]?.y?.length > seen", arg=seen, timeout=SLOW
    )


@pytest.fixture
def other(app: Server, browser: BrowserContext) -> Iterator[Page]:
    """Another visitor."""
    page = View().page(browser)
    page.goto(address(app, PATH))
    settle(page)
    yield page
    page.close()


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_the_whole_life_of_a_run(open_page: Callable[..., Page], other: Page, app: Server, tmp_path: Path) -> None:
    page, third = open_page(PATH), View().page(other.context)
    third.goto(address(app, PATH))
    settle(third)  # before others take the machine
    begin(page)
    begin(other)
    assert page.url != other.url and len(children(app)) == 2
    press(third, "Train")
    third.get_by_text("being trained on this server already").wait_for(timeout=SLOW)
    assert len(children(app)) == 2
    third.close()
    delete(other)
    other.get_by_test_id("stMain").get_by_role("button", name="Train", exact=True).wait_for(timeout=SLOW)
    assert len(children(app)) == 1

    grown(page, 1)
    seen = points(page)
    page.get_by_text("What has it learned so far?").wait_for(timeout=SLOW)
    page.get_by_role("link", name="Home").first.click()
    page.get_by_text("Look inside a lambda layer").wait_for(timeout=SLOW)
    assert len(children(app)) == 1
    to_training(page)
    page.get_by_text("What has it learned so far?").wait_for(timeout=SLOW)
    assert len(children(app)) == 1
    press(page, "Pause")
    page.get_by_text("nothing is lost").wait_for(timeout=SLOW)
    assert points(page) > seen and not children(app)
    settle(page)
    with page.expect_download() as kept:
        press(page, "Keep the checkpoint")
    file = tmp_path / kept.value.suggested_filename
    kept.value.save_as(file)
    mine = load_checkpoint(file)
    assert mine.classes == tuple("0123456789") and any(isinstance(m, LambdaLayer) for m in mine.model.modules())

    press(page, "Step through this network")
    page.wait_for_url(re.compile("lambda_layer"), timeout=SLOW)
    settle(page)
    page.get_by_test_id("headline").first.wait_for(timeout=SLOW)
    page.get_by_text(re.compile("digits, epoch")).first.wait_for(timeout=SLOW)

    to_training(page)
    press(page, "Go on")
    grown(page, points(page))
    assert len(children(app)) == 1
    delete(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Train", exact=True).wait_for(timeout=SLOW)
    assert not children(app)
    assert "run=" not in page.url
