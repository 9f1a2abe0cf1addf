"""First paint and heading of each page, and what a move and a click take where there is a canvas: part of `measure`."""

import random
import statistics
from collections.abc import Callable

from playwright.sync_api import Browser, Page

from tests.browser.driver import FINISHED, ROOT, Server, View, address, settle

SIDE = 16  # rows and columns of the map that the pixel moves on
LIMITS = {"hover work p95": 16, "click to answer, median": 300, "first paint, median": 1000}
ALL = sorted("/" if file.stem == "home" else f"/{file.stem}" for file in ROOT.glob("pages/*.py"))

IN_PAGE = """
window.times = {
    find(test, root = document) {
        for (const element of root.querySelectorAll("*")) {
            if (test(element)) return element;
            const found = element.shadowRoot && this.find(test, element.shadowRoot);
            if (found) return found;
        }
        return null;
    },
    canvas() {
        const names = ["lambdaCanvas", "halvesCanvas", "scopeCanvas"];
        const element = this.find(e => names.some(name => e[name]));
        return element && names.map(name => element[name]).find(Boolean);
    },
    boxes(selector) {
        return this.find(e => e.matches(selector)).getRootNode().querySelectorAll(selector);
    },
    centre(selector, index) {
        const all = this.boxes(selector), box = all[index % all.length].getBoundingClientRect();
        return {x: box.x + box.width / 2, y: box.y + box.height / 2};
    },
    // The work that one pointer move causes: its handlers, and the frame after it with style and layout.
    works: [],
    watchMoves() {
        addEventListener("pointermove", () => {
            const begin = performance.now();
            let handled = 0;
            queueMicrotask(() => (handled = performance.now() - begin));
            requestAnimationFrame(() => {
                const frame = performance.now(), channel = new MessageChannel();
                channel.port1.onmessage = () => this.works.push(handled + performance.now() - frame);
                channel.port2.postMessage(0);
            });
        }, {capture: true});
    },
    // From the press until Streamlit has run and drawn.
    arm(finished) {
        this.answered = null;
        addEventListener("pointerdown", () => {
            const begin = performance.now();
            let busy = false;
            const wait = () => {
                busy ||= !document.querySelector(finished);
                if (busy && document.querySelector(finished)) this.answered = performance.now() - begin;
                else if (performance.now() - begin > 20000) this.answered = Infinity;
                else setTimeout(wait, 2);
            };
            wait();
        }, {capture: true, once: true});
    },
};
const painted = setInterval(() => {
    const main = document.querySelector('[data-testid="stMain"]');
    const head = main && times.find(e => /^H[12]$/.test(e.tagName) && e.textContent.trim(), main);
    if (!head) return;
    times.first = performance.now();
    clearInterval(painted);
}, 20);
"""
# What a page makes beside itself the first time that it is opened (`explorer.later`) is there.
COMPLETE = """() => ![...document.querySelectorAll("[data-testid=stCaptionContainer]")].some(
    caption => caption.textContent.trim().endsWith("…"))"""
FRAME = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"

Place = Callable[[Page, random.Random], dict]


def _pixel(page: Page, chance: random.Random) -> dict:
    at = [chance.randrange(SIDE), chance.randrange(SIDE)]
    return page.evaluate("([row, column]) => times.canvas().pixelAt(row, column)", at)


def _one_of(selector: str) -> Place:
    return lambda page, chance: page.evaluate("([s, i]) => times.centre(s, i)", [selector, chance.randrange(1000)])


# page: where the pointer goes, where it clicks (or None), and what is opened first
CANVASES: dict[str, tuple[str, Place, Place | None, str | None]] = {
    "step page": ("/lambda_layer?step=5", _pixel, _pixel, None),
    "content_position": ("/content_position", _pixel, _pixel, None),
    "scope": ("/scope", _pixel, _pixel, None),
    "architectures": ("/architectures", _one_of("button.block"), _one_of("button.block"), None),
    "formula and code": ("/lambda_layer?step=5", _one_of(".formula-code [data-axis]"), None, "Formula and code"),
}


def first_paint(browser: Browser, server: Server, path: str, repeats: int) -> tuple[float, float]:
    """Median milliseconds to the first contentful paint and to the page's first heading, warm server, empty cache."""
    found = []
    for _ in range(repeats + 1):  # the first warms the server
        context = View().context(browser)
        context.add_init_script(IN_PAGE)
        page = context.new_page()
        page.goto(address(server, path))
        page.wait_for_function("() => times.first", timeout=120_000)
        paint = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
        found.append((paint, page.evaluate("() => times.first")))
        settle(page)
        context.close()
    painted, headed = zip(*found[1:], strict=True)
    return statistics.median(painted), statistics.median(headed)


def paints(browser: Browser, server: Server, repeats: int) -> dict[str, tuple[float, str]]:
    """First paint and heading of every page, by name: (value, unit)."""
    found = {}
    for path in ALL:
        paint, heading = first_paint(browser, server, path, repeats)
        found |= {f"{path}: first paint, median": (paint, "ms"), f"{path}: heading, median": (heading, "ms")}
    return found


def canvases(browser: Browser, server: Server, repeats: int, moves: int) -> dict[str, tuple[float, str]]:
    """Moves and clicks on every page with a canvas that stands, by name: (value, unit)."""
    figures = {}
    for name, (path, hover, press, summary) in CANVASES.items():
        chance = random.Random(0)
        context = View().context(browser)
        context.add_init_script(IN_PAGE)
        page = context.new_page()
        page.goto(f"{server.url}{path}")
        settle(page)
        page.wait_for_function(COMPLETE, timeout=120_000)
        if summary:
            page.get_by_text(summary, exact=True).click()
            page.get_by_test_id("formula").scroll_into_view_if_needed()
        if hover is _pixel:
            page.wait_for_function("() => times.canvas()", timeout=60_000)
        page.wait_for_timeout(1000)  # the check against PyTorch goes on after the first picture
        page.evaluate("() => times.watchMoves()")
        for _ in range(moves):
            at = hover(page, chance)
            page.mouse.move(at["x"], at["y"])
            page.evaluate(FRAME)
        works = sorted(page.evaluate("() => times.works"))
        figures[f"{name}: hover work p50"] = works[len(works) // 2], "ms"
        figures[f"{name}: hover work p95"] = works[int(0.95 * len(works))], "ms"
        if press:
            answers = []
            for _ in range(2 * repeats):
                at = press(page, chance)
                page.mouse.move(at["x"], at["y"])
                page.evaluate("finished => times.arm(finished)", FINISHED)
                page.mouse.click(at["x"], at["y"])
                page.wait_for_function("() => times.answered !== null", timeout=30_000)
                answers.append(page.evaluate("() => times.answered"))
                settle(page)
            figures[f"{name}: click to answer, median"] = statistics.median(answers), "ms"
        context.close()
    return figures
