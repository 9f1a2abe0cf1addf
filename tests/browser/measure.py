"""How fast the explorer answers, in a real browser: python -m tests.browser.measure [--json FILE] [--only PART ...]

Prints each figure beside its target; the status is 1 if one misses it. Takes about five minutes on two cores. With
--only, FILE keeps the figures of the other parts.

- Pointer move to picture, on the canvas's own clock, on a 32 x 32 map with k = 16 (a network made for this, brought as
  a visitor brings one). "work" is computing and drawing; "total" runs from the event to the frame that shows it, so up
  to a frame (16.7 ms at 60 Hz) of it is waiting for the display.
- Click to picture: from the click until the canvas shows what came of it.
- First picture: from the start of navigation to the canvas's first drawing. Warm: the server has shown the page before;
  once with an empty browser cache, once as a returning visitor. Cold: from starting the server process, in a browser
  that is already open. Beside it, for the same browser: how long an empty Streamlit app takes to show one line.
- Of every page, from the start of navigation, warm: the first paint, as the browser tells it, of its name and what it
  is for; and the first heading of the page itself, in its place. Of each page with a canvas, the work of a move (its
  handlers, and the frame that shows it) and the time from a click until Streamlit has answered.
- Heap after a garbage collection, and the server's resident memory: growth from 30 to 300 interactions.
"""

import argparse
import datetime
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright

from lambda_core import build, save_checkpoint
from lambda_core.data import IMAGENET_MEAN, IMAGENET_STD, IMAGENETTE_CLASSES
from tests.browser import page_times
from tests.browser.driver import FINISHED, Server, View, address, launch, running_app, settle

PATH = "/lambda_layer"
SIDE = 16  # of the first layer of the network that ships
LARGE = 32  # of the network that the moves are timed on
Figures = dict[str, tuple[float, str]]  # by name: (value, unit)
# Two pictures of the gallery to go back and forth between.
PICTURES = (".st-key-pick_cat button", ".st-key-pick_coffee button")

TARGETS = {
    "move to picture, work p95": 16,
    "click a pixel to picture, median": 300,
    "click another photograph to picture, median": 300,
    "first picture, warm server, median": 1000,
    "first picture, cold server": 10000,
    "JS heap growth, 30 to 300 interactions": 10,
    "server memory growth, 30 to 300 interactions": 10,
}

# window.measure.canvas(): the hooks of the component, found through shadow roots, once it has a picture.
IN_PAGE = """
window.measure = {
    canvas(root = document) {
        for (const element of root.querySelectorAll("*")) {
            if (element.lambdaCanvas) return this.hasPicture(element.lambdaCanvas) ? element.lambdaCanvas : null;
            const found = element.shadowRoot && this.canvas(element.shadowRoot);
            if (found) return found;
        }
        return null;
    },
    hasPicture(canvas) {
        try {
            return canvas.nodes().length > 0;
        } catch {
            return false;  // no layout yet
        }
    },
    // What the canvas shows: the pinned state and the first outputs of the pixel.
    shown() {
        const canvas = this.canvas();
        return canvas && JSON.stringify([canvas.state().pinned, ...canvas.numbers().y.slice(0, 4)]);
    },
    // Arm before a click: `took` is the time until the canvas has drawn something else, `ran` until Python is done.
    arm(finished) {
        this.took = this.ran = null;
        const before = this.shown();
        addEventListener("pointerdown", () => {
            const start = performance.now();
            let busy = false;
            const wait = () => {
                busy ||= !document.querySelector(finished);
                const now = performance.now() - start;
                if (this.took === null && this.shown() && this.shown() !== before) this.took = now;
                if (this.ran === null && busy && document.querySelector(finished)) this.ran = now;
                if (now > 10000) this.took = this.ran = Infinity;
                if (this.took === null || this.ran === null) requestAnimationFrame(wait);
            };
            requestAnimationFrame(wait);
        }, {capture: true, once: true});
    },
};
const look = setInterval(() => {
    if (!window.measure.canvas()) return;
    window.measure.firstPicture = performance.now();
    clearInterval(look);
}, 25);
"""
DRAWN = "() => window.measure.firstPicture"
FRAME = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def open_drawn(browser: Browser, server: Server) -> tuple[Page, float]:
    """A page in a fresh profile, and the milliseconds from navigation to the canvas's first drawing."""
    context = View().context(browser)
    context.add_init_script(IN_PAGE)
    page = context.new_page()
    page.goto(address(server, PATH))
    page.wait_for_function(DRAWN, timeout=120_000)
    return page, page.evaluate(DRAWN)


def bring_large_network(page: Page, folder: Path) -> None:
    """Send random weights whose first lambda layer has a 32 x 32 map, k = 16, h = 4, v = 32, r = 23."""
    overrides = {"stages": "LCCC", "widths": (128, 64, 128, 192), "num_classes": 10, "scope": 23}
    path = folder / "large.safetensors"
    save_checkpoint(
        path, build("lambda_resnet_mini", **overrides),
        architecture={"name": "lambda_resnet_mini", "overrides": overrides},
        classes=IMAGENETTE_CLASSES, preprocess={"size": 128, "mean": IMAGENET_MEAN, "std": IMAGENET_STD},
    )  # fmt: skip
    page.locator(".st-key-network_popover button").first.click()
    page.get_by_test_id("stPopoverBody").locator("input[type=file]").set_input_files(path)
    count = LARGE * LARGE * 4
    page.wait_for_function(f"() => window.measure.canvas()?.numbers().weights.sum.length === {count}", timeout=60_000)
    page.keyboard.press("Escape")
    page.wait_for_function("() => window.measure.canvas().check?.count > 0", timeout=120_000)


def move(page: Page, chance: random.Random, side: int = SIDE) -> tuple[float, float]:
    """Put the pointer on some position of the photograph and let the browser draw. Returns where."""
    position = [chance.randrange(side), chance.randrange(side)]
    place = page.evaluate("([row, column]) => window.measure.canvas().pixelAt(row, column)", position)
    page.mouse.move(place["x"], place["y"])
    page.evaluate(FRAME)
    return place["x"], place["y"]


def timed(page: Page, click: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds from a click until the canvas shows what came of it, and until Python has followed."""
    page.evaluate("finished => window.measure.arm(finished)", FINISHED)
    click()
    page.wait_for_function("() => window.measure.took !== null && window.measure.ran !== null", timeout=30_000)
    return page.evaluate("() => window.measure.took"), page.evaluate("() => window.measure.ran")


def click_pixel(page: Page, chance: random.Random) -> tuple[float, float]:
    x, y = move(page, chance)
    return timed(page, lambda: page.mouse.click(x, y))


def interact(page: Page, count: int, chance: random.Random) -> None:
    """Move over the photograph; every tenth time, click."""
    for index in range(count):
        x, y = move(page, chance)
        if index % 10 == 9:
            page.mouse.click(x, y)
    settle(page)


def heap_mb(page: Page) -> float:
    """JavaScript heap in use, after a garbage collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return metrics["JSHeapUsedSize"] / 2**20


def server_mb(server: Server) -> float:
    """Resident memory of the server process."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(server.pid)], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1024


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def floor(browser: Browser, repeats: int) -> float:
    """Milliseconds until an app of one line shows it: what Streamlit itself takes here, warm, with an empty cache."""
    times = []
    with TemporaryDirectory() as folder:
        entry = Path(folder, "empty.py")
        entry.write_text('import streamlit as st\nst.title("one line")\n')
        with running_app(entry=str(entry)) as server:
            for _ in range(repeats + 1):
                context = View().context(browser)
                page = context.new_page()
                page.goto(server.url)
                page.wait_for_selector("h1")
                times.append(page.evaluate("() => performance.now()"))
                context.close()
    return statistics.median(times[1:])


def loads(browser: Browser, repeats: int, moves: int) -> Figures:
    """The empty app, the cold server, and the first picture from a warm one."""
    figures: Figures = {"one line of an empty app, median": (floor(browser, repeats), "ms")}
    started = time.monotonic()
    with running_app() as server:
        page, _ = open_drawn(browser, server)
        figures["first picture, cold server"] = (time.monotonic() - started) * 1000, "ms"
        page.context.close()
        firsts, returns = [], []
        for _ in range(repeats):
            page, took = open_drawn(browser, server)
            firsts.append(took)
            settle(page)
            page.reload()
            page.wait_for_function(DRAWN, timeout=120_000)
            returns.append(page.evaluate(DRAWN))
            page.context.close()
    figures["first picture, warm server, median"] = statistics.median(firsts), "ms"
    figures["first picture, returning visitor, median"] = statistics.median(returns), "ms"
    return figures


def hovering(browser: Browser, repeats: int, moves: int) -> Figures:
    """Pointer moves over a large map."""
    chance = random.Random(0)
    figures: Figures = {}
    with running_app() as server, TemporaryDirectory() as folder:
        page, _ = open_drawn(browser, server)
        settle(page)
        bring_large_network(page, Path(folder))
        page.evaluate("() => { window.measure.canvas().latencies.length = 0; }")
        for _ in range(moves):
            move(page, chance, LARGE)
        latencies = page.evaluate("() => window.measure.canvas().latencies.map(({work, total}) => [work, total])")
        page.context.close()
    for name, column in (("work", 0), ("total", 1)):
        values = [row[column] for row in latencies]
        figures[f"move to picture, {name} p50"] = percentile(values, 0.5), "ms"
        figures[f"move to picture, {name} p95"] = percentile(values, 0.95), "ms"
    figures["moves drawn"] = len(latencies), ""
    return figures


def clicking(browser: Browser, repeats: int, moves: int) -> Figures:
    """Clicks on pixels and on photographs."""
    chance = random.Random(0)
    figures: Figures = {}
    with running_app() as server:
        page, _ = open_drawn(browser, server)
        settle(page)
        clicks = [click_pixel(page, chance) for _ in range(2 * repeats)]
        figures["click a pixel to picture, median"] = statistics.median(c[0] for c in clicks), "ms"
        figures["click a pixel until Python has followed, median"] = statistics.median(c[1] for c in clicks), "ms"
        for picture in PICTURES:  # the first time, the network runs
            page.click(picture)
            settle(page)
        clicks = []
        for index in range(2 * repeats):
            clicks.append(timed(page, lambda index=index: page.click(PICTURES[index % 2])))  # type: ignore[misc]
        figures["click another photograph to picture, median"] = statistics.median(c[0] for c in clicks), "ms"
        page.context.close()
    return figures


def paints(browser: Browser, repeats: int, moves: int) -> Figures:
    """First paint of every page."""
    with running_app() as server:
        return page_times.paints(browser, server, repeats)


def canvases(browser: Browser, repeats: int, moves: int) -> Figures:
    """Moves and clicks on every page with a canvas."""
    with running_app() as server:
        return page_times.canvases(browser, server, repeats, moves // 5)


def memory(browser: Browser, repeats: int, moves: int) -> Figures:
    """Growth of the page and of the server."""
    chance = random.Random(0)
    figures: Figures = {}
    with running_app() as server:
        page, _ = open_drawn(browser, server)
        settle(page)
        interact(page, 30, chance)
        heap, resident = heap_mb(page), server_mb(server)
        interact(page, 270, chance)
        for name, before, after in (("JS heap", heap, heap_mb(page)), ("server memory", resident, server_mb(server))):
            figures[f"{name} after 30 interactions"] = before, "MB"
            figures[f"{name} after 300 interactions"] = after, "MB"
            figures[f"{name} growth, 30 to 300 interactions"] = 100 * (after / before - 1), "%"
        page.context.close()
    return figures


PARTS = {part.__name__: part for part in (loads, hovering, clicking, paints, canvases, memory)}


def cpu_name() -> str:
    """The processor's name as Linux tells it, else its architecture."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--repeats", type=int, default=5, help="page loads; twice as many clicks (default 5)")
    parser.add_argument("--moves", type=int, default=300, help="pointer moves (default 300)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()

    figures: Figures = {}
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name in options.only:
            figures |= PARTS[name](browser, options.repeats, options.moves)
        machine = {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "browser": f"Chromium {browser.version}",
            "python": platform.python_version(),
        }
        browser.close()

    rows = []
    for name, (value, unit) in figures.items():
        target = TARGETS.get(name, page_times.LIMITS.get(name.partition(": ")[2]))
        passed = None if target is None else bool(value <= target)
        shown = round(value, 2) if math.isfinite(value) else None
        rows.append({"name": name, "value": shown, "unit": unit, "target": target, "passed": passed})
    if options.json and options.json.exists() and set(options.only) != set(PARTS):
        kept = json.loads(options.json.read_text())["figures"]
        rows = [row for row in kept if row["name"] not in figures] + rows
    result = {
        "command": "python -m tests.browser.measure",
        "date": datetime.date.today().isoformat(),
        "machine": machine,
        "figures": rows,
    }
    text = json.dumps(result, indent=2, ensure_ascii=False)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return int(any(row["passed"] is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
