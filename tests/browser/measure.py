"""How fast the explorer answers, in a real browser: python -m tests.browser.measure [--json FILE]

Prints each figure beside its target; the status is 1 if one misses it. Takes about two minutes on two cores.

- Pointer move to picture, on the canvas's own clock. "work" is computing and drawing; "total" runs from the event to
  the frame that shows it, so up to a frame (16.7 ms at 60 Hz) of it is waiting for the display.
- Click to picture: from the click until Streamlit has run the page again and the browser has drawn what came of it.
- First picture: from the start of navigation to the canvas's first drawing. Warm: the server has shown the page before,
  the browser's cache is empty. Cold: from starting the server process, in a browser that is already open.
- Heap after a garbage collection, and the server's resident memory, after 30 and after 300 interactions.
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

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.driver import FINISHED, Server, View, address, launch, running_app, settle

# The page to measure, the parameters that bring it to a map of SIDE x SIDE positions with k = 16, and that side.
PATH = "/lambda_layer"
QUERY: dict[str, object] = {}
SIDE = 16
# Two pictures of the gallery to go back and forth between.
PICTURES = (".st-key-pick_cat button", ".st-key-pick_coffee button")

TARGETS = {
    "move to picture, work p50": 8,
    "move to picture, work p95": 16,
    "move to picture, total p50": 34,
    "move to picture, total p95": 50,
    "click a pixel to picture, median": 300,
    "click another photograph to picture, median": 300,
    "first picture, warm server, median": 1000,
    "first picture, cold server": 15000,
    "JS heap growth, 30 to 300 interactions": 10,
    "server memory growth, 30 to 300 interactions": 100,
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
    // Arm before a click; `took` is then the time until the script has run again and two frames have been drawn.
    arm(finished) {
        this.took = null;
        addEventListener("pointerdown", () => {
            const start = performance.now();
            let ran = false;
            const busy = () => !document.querySelector(finished);
            const observer = new MutationObserver(() => { ran ||= busy(); });
            observer.observe(document.querySelector('[data-testid="stApp"]'), {attributes: true});
            const wait = () => {
                ran ||= busy();
                const over = ran ? !busy() : performance.now() - start > 1000;
                if (!over) return requestAnimationFrame(wait);
                observer.disconnect();
                requestAnimationFrame(() => { this.took = ran ? performance.now() - start : Infinity; });
            };
            requestAnimationFrame(wait);
        }, {capture: true, once: true});
    },
};
const look = setInterval(() => {
    if (!window.measure.canvas()) return;
    window.measure.firstPicture = performance.now();
    clearInterval(look);
}, 10);
"""
DRAWN = "() => window.measure.firstPicture"
FRAME = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def open_drawn(browser: Browser, server: Server) -> tuple[Page, float]:
    """A page in a fresh profile, and the milliseconds from navigation to the canvas's first drawing."""
    context = View().context(browser)
    context.add_init_script(IN_PAGE)
    page = context.new_page()
    page.goto(address(server, PATH, **QUERY))
    page.wait_for_function(DRAWN, timeout=120_000)
    return page, page.evaluate(DRAWN)


def move(page: Page, chance: random.Random) -> tuple[float, float]:
    """Put the pointer on some position of the photograph and let the browser draw. Returns where."""
    position = [chance.randrange(SIDE), chance.randrange(SIDE)]
    place = page.evaluate("([row, column]) => window.measure.canvas().pixelAt(row, column)", position)
    page.mouse.move(place["x"], place["y"])
    page.evaluate(FRAME)
    return place["x"], place["y"]


def timed(page: Page, click: Callable[[], object]) -> float:
    """Milliseconds from a click to the picture that Python made of it; infinity where no run followed."""
    page.evaluate("finished => window.measure.arm(finished)", FINISHED)
    click()
    page.wait_for_function("() => window.measure.took !== null", timeout=30_000)
    return page.evaluate("() => window.measure.took")


def click_pixel(page: Page, chance: random.Random) -> float:
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


def measure(browser: Browser, repeats: int, moves: int) -> dict[str, tuple[float, str]]:
    """Every figure by name: (value, unit)."""
    chance = random.Random(0)
    figures: dict[str, tuple[float, str]] = {}
    started = time.monotonic()
    with running_app() as server:
        page, _ = open_drawn(browser, server)
        figures["first picture, cold server"] = (time.monotonic() - started) * 1000, "ms"
        page.context.close()

        loads = []
        for _ in range(repeats):
            page, took = open_drawn(browser, server)
            loads.append(took)
            page.context.close()
        figures["first picture, warm server, median"] = statistics.median(loads), "ms"

        page, _ = open_drawn(browser, server)
        settle(page)
        page.evaluate("() => { window.measure.canvas().latencies.length = 0; }")
        for _ in range(moves):
            move(page, chance)
        latencies = page.evaluate("() => window.measure.canvas().latencies.map(({work, total}) => [work, total])")
        for name, column in (("work", 0), ("total", 1)):
            values = [row[column] for row in latencies]
            figures[f"move to picture, {name} p50"] = percentile(values, 0.5), "ms"
            figures[f"move to picture, {name} p95"] = percentile(values, 0.95), "ms"
        figures["moves drawn"] = len(latencies), ""

        clicks = [click_pixel(page, chance) for _ in range(2 * repeats)]
        figures["click a pixel to picture, median"] = statistics.median(clicks), "ms"
        for picture in PICTURES:  # the first time, the network runs
            page.click(picture)
            settle(page)
        clicks = []
        for index in range(2 * repeats):
            clicks.append(timed(page, lambda index=index: page.click(PICTURES[index % 2])))  # type: ignore[misc]
        figures["click another photograph to picture, median"] = statistics.median(clicks), "ms"
        page.context.close()

        page, _ = open_drawn(browser, server)
        settle(page)
        interact(page, 30, chance)
        heap, memory = heap_mb(page), server_mb(server)
        interact(page, 270, chance)
        for name, before, after in (("JS heap", heap, heap_mb(page)), ("server memory", memory, server_mb(server))):
            figures[f"{name} after 30 interactions"] = before, "MB"
            figures[f"{name} after 300 interactions"] = after, "MB"
            figures[f"{name} growth, 30 to 300 interactions"] = after - before, "MB"
        page.context.close()
    return figures


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
    options = parser.parse_args()

    with sync_playwright() as playwright:
        browser = launch(playwright)
        figures = measure(browser, options.repeats, options.moves)
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
        target = TARGETS.get(name)
        passed = None if target is None else bool(value <= target)
        shown = round(value, 2) if math.isfinite(value) else None
        rows.append({"name": name, "value": shown, "unit": unit, "target": target, "passed": passed})
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
