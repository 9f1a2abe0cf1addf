"""The scope page in Chromium: the frame that is dragged, the footprint that PyTorch measures, at every width."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page

from explorer import images
from lambda_core import load_checkpoint
from lambda_core.data import prepare
from lambda_core.footprint import footprints, implied_weights
from lambda_core.surgery import cropped_scope
from tests.browser.axes import check_letters
from tests.browser.driver import View, settle

PATH = "stages.2.0.mix"
FIND = """() => {
  const visit = root => {
    for (const element of root.querySelectorAll('*')) {
      if (element.scopeCanvas) return element;
      const found = element.shadowRoot && visit(element.shadowRoot);
      if (found) return found;
    }
  };
  return visit(document);
}"""


def canvas(page: Page, expression: str):
    """Evaluate JavaScript on the component's test face, `c`."""
    return page.evaluate(f"() => {{ const c = ({FIND})().scopeCanvas; return {expression}; }}")


def measured(page: Page, more: str = "true") -> None:
    """Wait until PyTorch has answered for what is drawn."""
    page.wait_for_function(
        f"() => {{ const e = ({FIND})(); if (!e) return false; const c = e.scopeCanvas, s = c.state();"
        f" return s.measured && !s.moving && {more}; }}",
        timeout=60_000,
    )


def drag(page: Page, row: int, column: int) -> None:
    """Take the frame by an open side and pull it to a position of the map."""
    start, end = canvas(page, "c.edgeAt()"), canvas(page, f"c.pixelAt({row}, {column})")
    page.mouse.move(start["x"], start["y"])
    page.mouse.down()
    page.mouse.move((start["x"] + end["x"]) / 2, (start["y"] + end["y"]) / 2, steps=3)
    page.mouse.move(end["x"], end["y"], steps=3)
    page.mouse.up()


def query(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def window(row: int, column: int, r: int) -> np.ndarray:
    y, x = np.ogrid[:16, :16]
    return (abs(y - row) <= r // 2) & (abs(x - column) <= r // 2)


@pytest.fixture(scope="module")
def network():
    checkpoint = load_checkpoint("lambda_resnet_mini")
    return checkpoint.model, prepare(images.gallery_picture("coffee").image, checkpoint.preprocess)


def test_dragging_the_frame_crops_and_the_footprint_is_that_of_pytorch(open_page: Callable[..., Page], network):
    page = open_page("scope", row=8, column=9)
    measured(page)
    assert canvas(page, "c.state().scope") == 11
    drag(page, 7, 11)  # three columns from the pixel
    page.wait_for_url(re.compile(r"scope=7"))
    measured(page, "s.scope === 7")
    model, x = network
    layer = model.get_submodule(PATH)
    with cropped_scope(layer, 7):
        maps = footprints(model, x, PATH, 7 * 16 + 8, 0, "position")
    shown = {name: np.reshape(*canvas(page, f"[c.map('{name}').data, c.map('{name}').shape]")) for name in maps}
    for name, expected in maps.items():
        np.testing.assert_allclose(shown[name], expected, rtol=1e-3, atol=1e-4 * float(expected.max()))
    assert np.array_equal(shown["layer"] > 0, window(7, 8, 7))
    assert canvas(page, "c.numbers().reading.layer.share") == 1
    check = canvas(page, "c.check")
    assert check["maxDelta"] < 1e-4 * max(1, check["maxAbs"]) and check["count"] == 4 * 256
    answers = page.get_by_test_id("answers").inner_text()
    assert "7 × 7" in answers and "%" in answers


def test_a_moved_pixel_has_the_weights_of_pytorch_before_any_answer(open_page: Callable[..., Page], network):
    page = open_page("scope", scope=5)
    measured(page)
    page.keyboard.press("Escape")
    canvas(page, "c.state()")
    at = canvas(page, "c.pixelAt(3, 12)")
    page.mouse.move(at["x"] - 40, at["y"] + 40)
    page.keyboard.press("Escape")
    page.mouse.move(at["x"], at["y"])
    page.wait_for_function(
        f"() => {{ const s = ({FIND})().scopeCanvas.state(); return s.row === 3 && s.column === 12; }}"
    )
    assert canvas(page, "c.state().overlay") == "weights"  # a footprint of another pixel is not shown
    model, x = network
    layer, seen = model.get_submodule(PATH), {}
    handle = layer.input.register_forward_hook(lambda _m, _a, y: seen.update(x=y.detach()))
    model(x)
    handle.remove()
    with cropped_scope(layer, 5):
        expected = implied_weights(layer, seen["x"], 3 * 16 + 12)
    np.testing.assert_allclose(canvas(page, "c.numbers().weights"), expected.flatten(), atol=1e-4)
    work = sorted(entry["work"] for entry in canvas(page, "c.latencies"))
    assert work, "no frame was measured"


def test_the_tasks_notice(open_page: Callable[..., Page]):
    page = open_page("scope")
    measured(page)
    column = canvas(page, "c.state().column")
    page.keyboard.press("ArrowRight")  # no need to point at the photo first
    page.wait_for_function(f"() => ({FIND})().scopeCanvas.state().column === {column + 1}")
    page.keyboard.press("ArrowLeft")
    measured(page)
    drag(page, 8, 9)
    measured(page, "s.scope === 3")
    for _ in range(5):
        page.keyboard.press("]")
    measured(page, "s.scope === 13")
    assert canvas(page, "c.numbers().reading.layer.count") == 121  # drawn larger, measured as it was
    page.get_by_role("button", name="With content").click()
    measured(page, "s.part === 'both' && c.numbers().reading.layer.count === 256")
    assert canvas(page, "c.state().tasks") == ["scope-crop", "scope-beyond", "scope-content"]
    assert canvas(page, "c.numbers().reading.layer.share") < 1


def test_a_link_ticks_no_task_and_what_it_cannot_show_stays_said(open_page: Callable[..., Page]):
    page = open_page("scope", scope=4)
    measured(page, "s.scope === 3")
    settle(page)
    assert canvas(page, "c.state().tasks") == []  # a window of 3 x 3 came by the link: nobody dragged it there
    page.get_by_text("The kernels of every layer").wait_for()
    page.get_by_alt_text("Receptive field of Stage 4, block 2").wait_for()  # it joins by a run of its own
    assert page.get_by_text("The link asks for a scope of 4").is_visible()
    drag(page, 8, 11)
    measured(page, "s.scope > 3")
    drag(page, 8, 9)
    measured(page, "s.scope === 3 && s.tasks.includes('scope-crop')")


@pytest.mark.parametrize("view", [View(width=400, height=860)], ids=str)
def test_on_a_phone_a_link_restores_the_scope_and_a_click_moves_the_pixel(open_page: Callable[..., Page], view: View):
    page = open_page("scope", scope=5, row=3, column=4, image="cat")
    measured(page)
    state = canvas(page, "c.state()")
    assert (state["row"], state["column"], state["scope"]) == (2, 3, 5)
    at = canvas(page, "c.pixelAt(12, 10)")
    page.mouse.click(at["x"], at["y"])
    page.wait_for_url(re.compile(r"row=13"))
    measured(page, "s.row === 12")
    assert query(page)["scope"] == "5" and canvas(page, "c.state().scope") == 5


def test_a_letter_of_the_formula_lights_up_its_axis_beside_the_window(open_page: Callable[..., Page]):
    page = open_page("scope")
    measured(page)
    letters = {
        "h": {"weights": "each"},
        "k": {"kernels": "each"},
        "m": {"photo": "inside", "kernels": "inside", "weights": "inside"},
        "n": {"photo": "pixel", "kernels": "inside", "weights": "pixel"},
        "v": {},
    }
    check_letters(page, FIND, "scopeCanvas", letters)


def test_what_lies_on_the_photo_is_in_the_link(open_page: Callable[..., Page]):
    page = open_page("scope", overlay="change", part="both")
    measured(page, "s.overlay === 'change' && s.part === 'both'")
    page.get_by_role("button", name="Weights", exact=True).click()
    page.wait_for_url(re.compile(r"overlay=weights"))
    assert canvas(page, "c.state().overlay") == "weights" and query(page)["part"] == "both"
    page.get_by_role("button", name="Footprint", exact=True).click()
    page.wait_for_url(lambda url: "overlay" not in url)  # as a visit begins
    measured(page, "s.overlay === 'layer'")
