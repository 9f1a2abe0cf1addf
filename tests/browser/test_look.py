"""What a designer would stop at: letters too pale or too small, lines around nothing, links that stand askew."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.driver import PAPER, Server, View, address, settle

CONTRAST = """element => {
    const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
    const paint = (colour, opacity) => { pen.globalAlpha = opacity; pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); };
    const light = () => {
        const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(c => c / 255)
            .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
    };
    const above = [];
    for (let part = element; part; part = part.parentElement) above.push(getComputedStyle(part));
    above.slice().reverse().forEach(style => paint(style.backgroundColor, 1));
    const under = light();
    paint(above[0].color, above.reduce((opacity, style) => opacity * style.opacity, 1));
    return Math.max(light() / under, under / light());
}"""


def contrast(text: Locator) -> float:
    """Of letters against what they stand on, as WCAG 2 has it."""
    return text.evaluate(CONTRAST)


def test_small_text_and_buttons_can_be_read(app: Server, page: Page) -> None:
    page.goto(address(app, "training"))
    button = page.get_by_test_id("stBaseButton-primary")
    button.wait_for()
    captions = page.get_by_test_id("stCaptionContainer").locator("p")
    for scheme, paper in PAPER.items():
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", paper)
        settle(page)
        assert contrast(captions.first) >= 4.8
        assert contrast(button) >= 4.8
        button.hover()
        page.wait_for_timeout(300)  # the colour changes gradually
        assert contrast(button) >= 4.8
        page.mouse.move(0, 0)
        page.wait_for_timeout(300)


def test_a_link_begins_where_the_heading_does(open_page: Callable[..., Page]) -> None:
    page = open_page("/")
    main = page.get_by_test_id("stMain")
    boxes = [part.bounding_box() for part in (main.locator("h3").last, main.get_by_test_id("stIconMaterial").last)]
    heading, icon = (box["x"] for box in boxes if box)
    assert abs(heading - icon) <= 2


@pytest.mark.parametrize("view", [View(width=400, height=850)], ids=str)
def test_no_line_without_text_on_a_phone(open_page: Callable[..., Page], view: View) -> None:
    """Keys are told where there are keys; where there are none, the line above them goes too."""
    page = open_page("lambda_layer")
    page.locator(".lambda-canvas .read").wait_for()
    assert page.locator(".lambda-canvas .keys").is_hidden() and page.locator(".lambda-canvas .foot").is_hidden()


def test_tabs_and_the_history_tell_pages_apart(open_page: Callable[..., Page]) -> None:
    page = open_page("/")
    expect(page).to_have_title("Lambda explorer")
    open_page("scope")
    expect(page).to_have_title("Scope · Lambda explorer")
    page.get_by_text("Inspect", exact=True).first.click()
    page.get_by_text("Predictions", exact=True).first.click()
    expect(page).to_have_title("Predictions · Lambda explorer")
    settle(page)
    page.go_back()
    expect(page).to_have_title("Scope · Lambda explorer")
    settle(page)
    entries = page.context.new_cdp_session(page).send("Page.getNavigationHistory")["entries"]
    assert [entry["title"].partition(" · ")[0] for entry in entries][-2:] == ["Scope", "Predictions"]


RINGS = {"light": "rgb(0, 86, 154)", "dark": "rgb(106, 176, 246)"}
RING = """() => {
    let at = document.activeElement;
    while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    const label = at.matches("input[type=checkbox], input[type=radio]") && at.closest("label");
    const style = getComputedStyle(label || at);
    const own = at === document.body || (at.matches("input") && !label);  // Streamlit frames a field by its border
    return own ? null : [at.innerText || at.getAttribute("aria-label") || at.tagName,
        style.outlineStyle, style.outlineWidth, style.outlineColor];
}"""


@pytest.mark.parametrize("scheme", RINGS)
def test_the_keyboard_has_one_ring(open_page: Callable[..., Page], page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    open_page("content_position")
    rings = []
    for _ in range(45):
        page.keyboard.press("Tab")
        rings.append(page.evaluate(RING))
    found = [ring for ring in rings if ring]
    assert len(found) > 30 and any(name == "Navigate to home page" for name, *_ in found)
    odd = [ring for ring in found if ring[1:] != ["solid", "2px", RINGS[scheme]]]
    assert not odd, odd
