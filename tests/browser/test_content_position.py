"""Content against position in Chromium: dragging moves λp and not λc, numbers are PyTorch's, switches answer."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from explorer import images
from lambda_core import load_checkpoint, trace
from lambda_core.data import prepare
from lambda_core.switching import everywhere, switched
from tests.browser.axes import check_letters
from tests.browser.driver import View, settle

PAGE, LAYER = "content_position", "stages.2.0.mix"
FIND = """() => {
  const visit = root => {
    for (const element of root.querySelectorAll('*')) {
      if (element.halvesCanvas) return element;
      const found = element.shadowRoot && visit(element.shadowRoot);
      if (found) return found;
    }
  };
  return visit(document);
}"""


def canvas(page: Page, expression: str):
    """Evaluate JavaScript on the component's test face, `c`."""
    page.wait_for_function(f"() => {{ const e = ({FIND})(); return e && e.halvesCanvas.state(); }}", timeout=60_000)
    return page.evaluate(f"() => {{ const c = ({FIND})().halvesCanvas; return {expression}; }}")


def numbers(page: Page) -> dict[str, np.ndarray]:
    lists = (
        "{c: [...n.content.lambda], p: [...n.position.lambda], yc: [...n.content.output], yp: [...n.position.output]}"
    )
    return {name: np.array(found) for name, found in canvas(page, f"(n => ({lists}))(c.numbers())").items()}


def move_to(page: Page, row: int, column: int) -> None:
    at = canvas(page, f"c.pixelAt({row}, {column})")
    page.mouse.move(at["x"], at["y"], steps=6)


@pytest.fixture(scope="module")
def network():
    checkpoint = load_checkpoint("lambda_resnet_mini")
    return checkpoint, prepare(images.gallery_picture("coffee").image, checkpoint.preprocess)


def test_a_drag_moves_the_position_lambda_alone(open_page: Callable[..., Page], network):
    checkpoint, x = network
    taps = {name: t[0].numpy() for name, t in trace(checkpoint.model, x).items() if name.startswith(LAYER)}
    page = open_page(PAGE, row=3, column=3)
    before = numbers(page)
    move_to(page, 2, 2)
    page.mouse.down()
    move_to(page, 12, 13)
    page.wait_for_function(f"() => ({FIND})().halvesCanvas.state().row === 12")
    after = numbers(page)
    np.testing.assert_array_equal(after["c"], before["c"])
    assert np.abs(after["p"] - before["p"]).max() > 0.1
    n = 12 * 16 + 13
    np.testing.assert_allclose(after["c"], taps[f"{LAYER}.content_lambda"].ravel(), atol=1e-4)
    np.testing.assert_allclose(after["p"], taps[f"{LAYER}.position_lambda"][n].ravel(), atol=1e-4)
    for name, half in (("yc", "content"), ("yp", "position")):
        np.testing.assert_allclose(after[name], taps[f"{LAYER}.{half}_output"][:, n].ravel(), atol=1e-4)
    assert "row=13" not in page.url  # nothing is sent while the pixel is held
    page.mouse.up()
    page.wait_for_url(re.compile(r"column=14.*row=13|row=13.*column=14"))
    assert canvas(page, "c.state().tasks") == ["halves_drag"]
    assert page.get_by_test_id("task").first.inner_text().startswith("✓")
    page.wait_for_function(f"() => ({FIND})().halvesCanvas.check.done", timeout=60_000)
    check = canvas(page, "c.check")
    assert check["maxDelta"] < 1e-4 and check["count"] == 2 * 128 * 16 * 16
    work = sorted(moment["work"] for moment in canvas(page, "c.latencies"))
    assert work and work[len(work) // 2] < 100, "computing and drawing a move takes far longer than a frame"


def test_keys_move_the_pixel_and_change_the_head(open_page: Callable[..., Page]):
    page = open_page(PAGE, row=5, column=5)
    canvas(page, "c.state()")
    for key in ("ArrowRight", "ArrowDown", "]"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile("head=2"))
    settle(page)
    assert canvas(page, "[c.state().row, c.state().column, c.state().head]") == [5, 5, 1]
    page.get_by_role("link", name=re.compile("step 5")).click()
    page.wait_for_url(re.compile(r"lambda_layer\?.*step=5"))
    assert "row=6" in page.url and "head=2" in page.url


@torch.no_grad()
def test_a_switch_changes_the_answer(open_page: Callable[..., Page], network):
    checkpoint, x = network
    with switched(checkpoint.model, everywhere(checkpoint.model, "position")):
        best = checkpoint.classes[checkpoint.model(x)[0].argmax()]
    page = open_page(PAGE)
    canvas(page, "c.state()")  # the page is whole
    answer = page.get_by_test_id("answer")
    assert "nothing switched off" in answer.inner_text()
    page.get_by_role("button", name="Content only").click()
    page.get_by_text("with position off everywhere").wait_for()
    assert best.lower() in answer.inner_text().lower()
    page.get_by_role("button", name="Both", exact=True).click()
    page.get_by_text("with nothing switched off").wait_for()


@pytest.mark.parametrize("view", [View(width=400, height=860, color_scheme="dark")], ids=str)
def test_it_draws_on_a_phone_in_the_dark(open_page: Callable[..., Page], view: View):
    page = open_page(PAGE)
    canvas(page, "c.state()")
    painted = """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n / (d.length / 4); }"""
    page.wait_for_function(f"() => ({painted})(({FIND})().querySelector('canvas')) > 0.4")
    assert page.evaluate(f"() => ({FIND})().dataset.theme") == view.color_scheme
    sheet = page.locator('[data-testid="stMain"]')
    assert sheet.evaluate("sheet => sheet.scrollWidth - sheet.clientWidth") <= 1


LIT = {
    "k": {"content lambda": "rows", "position lambda": "rows"},
    "n": {
        "photo": "pixel", "content weights": "pixel", "position weights": "pixel", "content share": "inside",
        "position share": "inside", "position lambda": "whole", "content output": "whole", "position output": "whole",
        "sum": "whole",
    },
    "u": {},
}  # fmt: skip


def test_a_letter_of_the_formula_lights_up_its_axis_in_both_halves(open_page: Callable[..., Page]):
    page = open_page(PAGE)
    canvas(page, "c.state()")
    check_letters(page, FIND, "halvesCanvas", LIT)
