"""How many frames a second the live page answers: python -m tests.browser.measure_live [--seconds 8] [--json FILE]

A camera that plays a film, in Chromium on the machine that also serves; one figure for each map that can lie on the
picture. The page states the same figure. The target is 5 a second.
"""

import argparse
import json
import os
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from explorer.look import OVERLAYS
from tests.browser.driver import View, address, launch, running_app, settle
from tests.browser.measure import cpu_name
from tests.browser.test_live import FIND, film

TARGET = 5.0


def measure(seconds: float) -> dict[str, dict[str, float]]:
    """{overlay: {"frames_a_second", "answered_after_ms", "server_ms"}}"""
    figures = {}
    with TemporaryDirectory() as folder, sync_playwright() as playwright, running_app() as server:
        browser = launch(playwright, f"--use-file-for-fake-video-capture={film(Path(folder, 'film.mjpeg'))}")
        page = View().context(browser).new_page()
        page.goto(address(server, "live"))
        settle(page)
        page.get_by_test_id("camera-start").click()
        page.wait_for_function(f"() => ({FIND})().state().answered >= 3", timeout=60_000)
        count = f"() => [({FIND})().state().answered, performance.now()]"
        for overlay, (title, _) in OVERLAYS.items():
            page.get_by_role("radio", name=title, exact=True).click()
            page.wait_for_function(f"() => ({FIND})().state().wish.startsWith('{overlay}')", timeout=60_000)
            page.wait_for_timeout(1000)
            answered, started = page.evaluate(count)
            page.wait_for_timeout(1000 * seconds)
            now, ended = page.evaluate(count)
            read = page.wait_for_function(f"() => ({FIND})().rate()", timeout=60_000).json_value()
            figures[overlay] = {
                "frames_a_second": round(1000 * (now - answered) / (ended - started), 1),
                "answered_after_ms": round(read["took"]),
                "server_ms": round(read["server"]),
            }
        browser.close()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each map (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    figures = measure(options.seconds)
    result = {
        "command": "python -m tests.browser.measure_live",
        "date": date.today().isoformat(),
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "load": round(before, 1)},
        "figures": figures,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return int(min(found["frames_a_second"] for found in figures.values()) < TARGET)


if __name__ == "__main__":
    sys.exit(main())
