"""The step page in Chromium: what it shows is what PyTorch computes, keys work, and a link restores the view."""

import ast
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from explorer import images
from lambda_core import load_checkpoint, trace
from lambda_core.data import prepare
from tests.browser.driver import PAPER, Server, View, address, bring_small_network, settle

CANVAS = "lambda_layer"
FIND = """() => {
  const visit = root => {
    for (const element of root.querySelectorAll('*')) {
      if (element.lambdaCanvas) return element;
      const found = element.shadowRoot && visit(element.shadowRoot);
      if (found) return found;
    }
  };
  return visit(document);
}"""


def canvas(page: Page, expression: str):
    """Evaluate JavaScript on the component's test face, `c`."""
    page.wait_for_function(f"() => {{ const e = ({FIND})(); return e && e.lambdaCanvas.state(); }}", timeout=60_000)
    return page.evaluate(f"() => {{ const c = ({FIND})().lambdaCanvas; return {expression}; }}")


@pytest.fixture(scope="module")
def traced():
    checkpoint = load_checkpoint("lambda_resnet_mini")
    picture = images.gallery_picture("coffee")
    taps = trace(checkpoint.model, prepare(picture.image, checkpoint.preprocess))
    name = "stages.2.0.mix."
    return {key.removeprefix(name): t[0].numpy() for key, t in taps.items() if key.startswith(name)}


def expected(traced, row, column):
    n = row * traced["input"].shape[2] + column
    lambda_n = traced["content_lambda"] + traced["position_lambda"][n]
    return lambda_n, (traced["content_output"] + traced["position_output"])[:, n]


def query(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def point(page: Page, place: str) -> tuple[float, float]:
    """Move the pointer to a place that the component names, and let the browser draw."""
    at = canvas(page, place)
    page.mouse.move(at["x"], at["y"])
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return at["x"], at["y"]


def hover(page: Page, row: int, column: int) -> None:
    point(page, f"c.pixelAt({row}, {column})")
    page.wait_for_function(
        f"() => {{ const s = ({FIND})().lambdaCanvas.state(); return s.row === {row} && s.column === {column}; }}"
    )


def test_a_hovered_pixel_shows_the_numbers_of_pytorch(open_page: Callable[..., Page], traced):
    page = open_page(CANVAS)
    for pixel in [(0, 0), (7, 4), (15, 15)]:
        hover(page, *pixel)
        shown = canvas(page, "{l: Array.from(c.numbers().lambda), y: Array.from(c.numbers().y)}")
        lambda_n, output = expected(traced, *pixel)
        np.testing.assert_allclose(shown["l"], lambda_n.ravel(), atol=1e-4, err_msg=f"λ of {pixel}")
        np.testing.assert_allclose(shown["y"], output.ravel(), atol=1e-4, err_msg=f"y of {pixel}")


def test_the_arithmetic_of_a_hovered_cell_ends_in_the_number_of_pytorch(open_page: Callable[..., Page], traced):
    page = open_page(CANVAS, step=6, row=6, column=7)
    point(page, "c.hitOf('lambda', 3, 5)")
    text = page.get_by_test_id("arithmetic").inner_text()
    *terms, last = re.findall(r"[−-]?\d+\.\d+", re.sub(r"([+−]) ", r"\1", text).replace("−", "-"))
    assert sum(map(Decimal, terms)) == Decimal(last)  # to the digit, as it is printed
    lambda_n, _ = expected(traced, 5, 6)
    assert ast.literal_eval(last) == pytest.approx(float(lambda_n[3, 5]), abs=5.1e-4)


def weightiest(traced) -> tuple[int, int]:
    """Row and column of the largest product in the cell (3, 5) of the pixel (8, 8)."""
    table = load_checkpoint("lambda_resnet_mini").model.get_submodule("stages.2.0.mix").embeddings[3, 0].detach()
    weights = traced["keys"][:, 3, 0].reshape(16, 16).copy()
    weights[3:14, 3:14] += table.numpy()  # its window
    products = weights * traced["v"][:, 5, 0].reshape(16, 16)
    row, column = np.unravel_index(np.abs(products).argmax(), products.shape)
    return int(row), int(column)


def test_the_position_that_counts_most_in_a_cell_is_found_by_pointing(open_page: Callable[..., Page], traced):
    page = open_page(CANVAS, step=6, row=9, column=9, key=4, value=6, cell="lambda")
    assert canvas(page, "c.state().tasks") == []  # opening is not finding
    row, column = weightiest(traced)
    point(page, f"c.hitOf('cellProducts', {(row + 8) % 16}, {column})")
    assert canvas(page, "c.state().tasks") == []
    point(page, f"c.hitOf('cellProducts', {row}, {column})")
    assert canvas(page, "c.state().tasks") == ["sum"]


def test_the_position_that_counts_most_is_found_by_keys_alone(open_page: Callable[..., Page], traced):
    page = open_page(CANVAS, step=6, row=9, column=9, key=4, value=6)
    canvas(page, "c.state()")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("cell=lambda"))
    settle(page)
    row, column = weightiest(traced)
    page.keyboard.press("Shift+ArrowRight")
    assert canvas(page, "c.state().hover") == "cellWeights"
    for key, times in (("ArrowDown", row), ("ArrowRight", column)):
        for _ in range(times):
            page.keyboard.press(f"Shift+{key}")
    state = canvas(page, "c.state()")
    assert (state["row"], state["column"], state["tasks"]) == (8, 8, ["sum"]), "the pixel stays"
    spoken = page.get_by_test_id("lambda-canvas").locator(":scope > .spoken")
    expect(spoken).to_contain_text(f"row {row + 1}, column {column + 1}: ")


def test_the_check_against_the_layers_output_is_small(open_page: Callable[..., Page]):
    page = open_page(CANVAS)
    page.wait_for_function(f"() => ({FIND})()?.lambdaCanvas.check?.count > 0", timeout=60_000)
    check = canvas(page, "c.check")
    shown = page.get_by_test_id("check").bounding_box()
    assert shown and shown["y"] + shown["height"] < page.viewport_size["height"], "the check is in view"
    assert check["maxDelta"] < 1e-4 * max(1, check["maxAbs"])
    assert check["count"] == 128 * 16 * 16


def test_keys_move_the_pixel_and_the_step(open_page: Callable[..., Page]):
    page = open_page(CANVAS, row=5, column=5)
    canvas(page, "c.state()")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("]")
    page.wait_for_url(re.compile(r"step=1"))
    settle(page)
    assert canvas(page, "[c.state().row, c.state().column, c.state().step]") == [5, 5, 1]
    assert query(page)["row"] == "6"
    assert query(page)["column"] == "6"
    page.keyboard.press("[")
    page.wait_for_url(lambda url: "step=" not in url)
    page.set_viewport_size({"width": 1440, "height": 500})
    page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollTo(0, 1e6)")
    page.keyboard.press("ArrowUp")  # the stage is out of sight: the key is for the page
    assert canvas(page, "[c.state().row, c.state().column]") == [5, 5]


def test_a_part_of_the_overview_opens_its_step_and_back_leads_home(open_page: Callable[..., Page]):
    page = open_page("/")
    page.mouse.click(*point(page, "c.hitOf('content_lambda', 2, 3)"))
    page.wait_for_url(re.compile(r"lambda_layer.*step=4"))
    settle(page)
    page.keyboard.press("]")
    page.wait_for_url(re.compile(r"step=5"))
    settle(page)
    page.go_back()
    page.get_by_text("Look inside a lambda layer").wait_for()
    assert urlsplit(page.url).path == "/"
    page.go_forward()
    page.wait_for_url(re.compile(r"lambda_layer.*step=5"))
    settle(page)
    assert canvas(page, "c.state().step") == 5


def test_a_click_pins_the_pixel_and_the_link_restores_it(open_page: Callable[..., Page], page: Page):
    open_page(CANVAS, step=5)
    page.mouse.click(*point(page, "c.pixelAt(2, 11)"))
    page.wait_for_url(re.compile(r"row=3"))
    settle(page)
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    settle(page)
    assert canvas(page, "[c.state().row, c.state().column, c.state().step]") == [2, 11, 5]


def test_a_cell_opens_and_escape_goes_back_up(open_page: Callable[..., Page]):
    page = open_page(CANVAS, step=4)
    page.mouse.click(*point(page, "c.hitOf('content_lambda', 2, 3)"))
    page.wait_for_url(re.compile(r"cell=content_lambda"))
    assert page.get_by_test_id("arithmetic").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "cell=" not in url)
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "step=" not in url)


def test_the_empty_table_of_a_layer_without_content_does_not_open(open_page: Callable[..., Page], tmp_path: Path):
    page = open_page(CANVAS)
    bring_small_network(page, tmp_path, content=False)
    for step in range(1, 5):
        page.keyboard.press("]")
        page.wait_for_url(re.compile(f"step={step}"))
    settle(page)
    expect(page.get_by_test_id("headline")).to_have_text("This layer has no content part.")
    page.mouse.click(*point(page, "c.hitOf('content_lambda', 2, 3)"))
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert canvas(page, "c.state().cell") is None and "cell" not in query(page)
    page.keyboard.press("]")
    page.wait_for_url(re.compile("step=5"))
    settle(page)
    page.mouse.click(*point(page, "c.hitOf('position_lambda', 2, 3)"))
    page.wait_for_url(re.compile("cell=position_lambda"))


def test_another_picture_changes_the_numbers_and_keeps_the_pixel(open_page: Callable[..., Page]):
    page = open_page(CANVAS, row=4, column=4)
    before = canvas(page, "Array.from(c.numbers().y)")
    page.locator(".st-key-pick_cat button").first.click()
    page.wait_for_url(re.compile(r"image=cat"))
    settle(page)
    after = canvas(page, "Array.from(c.numbers().y)")
    assert not np.allclose(before, after)
    assert canvas(page, "[c.state().row, c.state().column]") == [3, 3]


@pytest.mark.parametrize("view", [View(width=400, height=860), View(color_scheme="dark")], ids=str)
def test_every_step_draws_at_every_width(open_page: Callable[..., Page], view: View):
    page = open_page(CANVAS)
    seen = {canvas(page, "c.state().step"): page.get_by_test_id("headline").inner_text()}
    for step in range(1, 9):
        page.keyboard.press("]")
        page.wait_for_url(re.compile(f"step={step}"))
        seen[canvas(page, "c.state().step")] = page.get_by_test_id("headline").inner_text()
    settle(page)
    assert sorted(seen) == list(range(9))
    assert len(set(seen.values())) == 9 and all(seen.values()), "each step has a headline of its own"


def test_a_letter_of_the_formula_lights_up_its_axis_on_the_stage(open_page: Callable[..., Page]):
    page = open_page(CANVAS, step=4)
    canvas(page, "c.state()")
    formula = page.get_by_test_id("formula")
    formula.locator("summary").click()
    letters = {
        "k": {"keyMap": "each", "content_lambda": "rows"},
        "v": {"valueMap": "each", "content_lambda": "columns"},
        "m": {"photo": "inside", "keyMap": "inside", "valueMap": "inside"},
        "n": {"photo": "pixel"},
        "h": {},
    }
    for letter, lit in letters.items():
        formula.locator(f'.letters [data-axis="{letter}"]').hover()
        page.wait_for_function(f"() => ({FIND})().lambdaCanvas.axis === '{letter}'")
        assert canvas(page, "c.axes()") == lit
    page.get_by_test_id("headline").hover()
    page.wait_for_function(f"() => ({FIND})().lambdaCanvas.axis === ''")
    assert canvas(page, "c.axes()") == {}
    for place in (".math .equation", ".math .einsum"):  # the letters of the step's own equation and einsum
        page.locator(f'{place} [data-axis="v"]').first.hover()
        page.wait_for_function(f"() => ({FIND})().lambdaCanvas.axis === 'v'")
        expect(page.locator('.math .lit[data-axis="v"]')).to_have_count(4)
        expect(formula.locator('.letters .lit[data-axis="v"]')).to_have_count(1)
        page.get_by_test_id("headline").hover()
        expect(page.locator(".lit[data-axis]")).to_have_count(0)


def test_a_lit_axis_is_ink_on_the_stage(open_page: Callable[..., Page]):
    page = open_page(CANVAS, step=4)
    at = canvas(page, "c.besideOf('content_lambda')")
    ask = f"""() => {{
        const s = ({FIND})().querySelector("canvas"), box = s.getBoundingClientRect(), ratio = s.width / box.width;
        const [x, y] = [({at["x"]} - box.left) * ratio, ({at["y"]} - box.top) * ratio];
        return [...s.getContext("2d").getImageData(x, y, 1, 1).data];
    }}"""
    assert page.evaluate(ask)[3] == 0  # nothing is there
    page.evaluate("document.dispatchEvent(new CustomEvent('lambda-axis', {detail: 'k'}))")
    page.wait_for_timeout(100)
    red, green, blue, alpha = page.evaluate(ask)
    assert alpha == 255 and max(red, green, blue) < 64


@pytest.fixture
def let_client_come(page: Page) -> Callable[[], None]:
    """Holds Streamlit's client up until it is called."""
    held: list[Route] = []
    page.route("**/static/js/index.*", lambda route: held.append(route))
    return lambda: [route.continue_() for route in held]  # type: ignore[return-value]


@pytest.mark.parametrize("view", [View(color_scheme="dark"), View(width=400, height=860)], ids=str)
def test_what_is_done_on_the_early_picture_stays(app: Server, page: Page, view: View, traced, let_client_come):
    page.goto(address(app, "lambda_layer"), wait_until="commit")
    assert canvas(page, "c.state().pinned") is False
    expect(page.locator("#early")).to_have_css("background-color", PAPER[view.color_scheme])
    point(page, "c.pixelAt(3, 5)")
    _, output = expected(traced, 3, 5)
    np.testing.assert_allclose(canvas(page, "Array.from(c.numbers().y)"), output.ravel(), atol=1e-4)
    place = page.evaluate(f"({FIND})().getBoundingClientRect().toJSON()")
    page.mouse.click(*point(page, "c.pixelAt(4, 6)"))
    page.keyboard.press("]")
    let_client_come()
    settle(page)
    expect(page.locator("#cover")).to_have_count(0)
    expect(page.get_by_test_id("lambda-canvas")).to_have_count(1)
    state = canvas(page, "c.state()")
    assert (state["row"], state["column"], state["step"], state["pinned"]) == (4, 6, 1, True)
    assert query(page).items() >= {"row": "5", "column": "7", "step": "1"}.items()
    stands = page.evaluate(f"({FIND})().getBoundingClientRect().toJSON()")
    assert (stands["x"], stands["width"]) == pytest.approx((place["x"], place["width"]), abs=1)
    assert stands["y"] == pytest.approx(place["y"], abs=24)  # a line of the tour may take two


def test_for_a_picture_of_a_session_the_words_stand(app: Server, page: Page, let_client_come):
    with page.expect_response("**/early/trace*") as answer:
        page.goto(address(app, "lambda_layer", image="upload"), wait_until="commit")
    assert answer.value.status == 204
    expect(page.locator("#cover").get_by_role("heading", name="Step through a layer")).to_be_visible()
    let_client_come()
    settle(page)
    expect(page.get_by_text("a picture that was sent in another session")).to_be_visible()


def test_why_a_file_was_refused_is_said_where_it_was_given(open_page: Callable[..., Page]):
    page = open_page(CANVAS)
    files = {"network_popover": ("x.safetensors", "Not opened"), "picture_popover": ("x.png", "This is a text file")}
    for key, (name, words) in files.items():
        page.locator(f".st-key-{key} button").first.click()
        body = page.get_by_test_id("stPopoverBody")
        sent = {"name": name, "mimeType": "application/octet-stream", "buffer": b"neither"}
        body.locator("input[type=file]").set_input_files(sent)  # type: ignore[arg-type]
        expect(body.get_by_test_id("stAlert")).to_be_visible()
        expect(body.get_by_test_id("stAlert")).to_contain_text(words)
        page.keyboard.press("Escape")
        settle(page)
