"""A finger on a photo in Chromium: where it scrolls the page, the pixel stays; where it taps, the pixel goes."""

from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, Page

from tests.browser.driver import View, settle

FIND = """name => {
  const visit = root => {
    for (const element of root.querySelectorAll('*')) {
      if (element[name]) return element[name];
      const found = element.shadowRoot && visit(element.shadowRoot);
      if (found) return found;
    }
  };
  return visit(document);
}"""
PLACES = {  # a page, and where on it its component has a photo; the pixel there is row 12, column 10
    "lambda_layer": ("lambdaCanvas", '[data-testid="lambda-canvas"] canvas', "c.pixelAt(12, 10)"),
    "scope": ("scopeCanvas", '[data-testid="scope-canvas"] canvas', "c.pixelAt(12, 10)"),
    "live": ("liveCamera", ".camera .stage", None),
}


def touch(finger: CDPSession, kind: str, *points: dict[str, float]) -> None:
    finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})


@pytest.mark.parametrize("view", [View(width=400, height=860)], ids=str)
@pytest.mark.parametrize("path", PLACES)
def test_a_finger_that_scrolls_the_page_leaves_the_pixel(open_page: Callable[..., Page], view: View, path: str) -> None:
    name, selector, place = PLACES[path]
    page = open_page(path, row=3, column=4)
    page.wait_for_function(f"() => ({FIND})('{name}')?.state().row === 2", timeout=60_000)
    page.locator(selector).first.scroll_into_view_if_needed()
    settle(page)
    before = page.evaluate(f"() => ({FIND})('{name}').state()")

    def spot() -> dict[str, float]:
        if place:
            return page.evaluate(f"() => {{ const c = ({FIND})('{name}'); return {place}; }}")
        box = page.locator(selector).bounding_box()
        assert box
        return {"x": box["x"] + box["width"] * 10.5 / 16, "y": box["y"] + box["height"] * 12.5 / 16}

    finger, old = page.context.new_cdp_session(page), spot()
    finger.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    touch(finger, "touchStart", old)
    for step in range(1, 21):
        touch(finger, "touchMove", {"x": old["x"], "y": old["y"] - 6 * step})
    touch(finger, "touchEnd")
    at = None
    while at != (at := spot()):  # a tap on a page that still glides stops it, and is no click
        page.wait_for_timeout(300)
    after = page.evaluate(f"() => ({FIND})('{name}').state()")
    assert old["y"] - spot()["y"] > 50, "the page did scroll"
    assert [after.get(key) for key in ("row", "column", "pinned")] == [
        before.get(key) for key in ("row", "column", "pinned")
    ]
    assert "row=3" in page.url

    touch(finger, "touchStart", spot())
    touch(finger, "touchEnd")
    page.wait_for_function(f"() => ({FIND})('{name}').state().row === 12", timeout=60_000)
    page.wait_for_url(lambda url: "row=13" in url and "column=11" in url)
