"""How the explorer answers a class: python -m tests.browser.load [--sessions 30 --seconds 60 --json FILE]

Many sessions at once, each clicking every five seconds: another photograph, another pixel, a block, another page. They
speak Streamlit's own protocol over its websocket, as a browser does, and draw nothing: thirty Chromium pages would
measure this machine's browser. `--chromium N` adds real pages on top, which click too; their figures stand apart.

A click is answered when the script has run and its last message is here. Errors are exceptions on a page, tracebacks
in the log, lost connections, and answers that take more than 30 seconds. The status is 1 if a target is missed.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.browser.driver import FINISHED, Server, View, address, launch, running_app, settle
from tests.browser.measure import cpu_name, percentile, server_mb

PAGES = ("lambda_layer", "content_position", "scope", "architectures")
CANVASES = ("steps", "halves", "scope")  # components that take a pixel
PICTURES = ("coffee", "cat", "astronaut", "rocket", "motorcycle", "camera")
PAUSE, PATIENCE = 5.0, 30.0  # seconds between clicks; until an answer counts as lost
TARGETS = {"click p95": 1500.0, "errors": 0.0, "memory growth": 20.0}
DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


@dataclass
class Figures:
    """What all sessions found: milliseconds by kind of click, and what went wrong."""

    arrivals: list[float] = field(default_factory=list)
    clicks: dict[str, list[float]] = field(default_factory=dict)
    browser: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Visitor:
    """One session: its connection, the widgets that it was sent and what it has set."""

    socket: ClientConnection
    page: str
    figures: Figures
    chance: random.Random
    hashes: dict[str, str] = field(default_factory=dict)  # page -> what Streamlit calls it
    widgets: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> (id, fragment)
    state: dict[str, WidgetState] = field(default_factory=dict)
    picture: str = "coffee"
    edits: int = 0

    async def run(self, pressed: WidgetState | None = None, fragment: str = "") -> float:
        """Ask for a run and take its answer; milliseconds."""
        client = ClientState(page_script_hash=self.hashes.get(self.page, ""), fragment_id=fragment)
        if not self.hashes:
            client.page_name = self.page
        client.widget_states.widgets.extend([*self.state.values(), *([pressed] if pressed else [])])
        started = time.monotonic()
        await self.socket.send(BackMsg(rerun_script=client).SerializeToString())
        async with asyncio.timeout(PATIENCE):
            while True:
                message = ForwardMsg.FromString(await self.socket.recv())  # type: ignore[arg-type]
                kind = message.WhichOneof("type")
                if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                    self._see(message)
                elif kind == "navigation":
                    pages = message.navigation.app_pages
                    self.hashes = {page.url_pathname or "home": page.page_script_hash for page in pages}
                elif kind == "script_finished" and message.script_finished in DONE:
                    return 1000 * (time.monotonic() - started)
                elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    self.figures.errors.append(f"{self.page}: the script does not compile")

    def _see(self, message: ForwardMsg) -> None:
        element, fragment = message.delta.new_element, message.delta.fragment_id
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.figures.errors.append(f"{self.page}: {element.exception.type}: {element.exception.message}")
        elif kind in ("button", "bidi_component"):
            name = getattr(element, kind).id
            self.widgets[name.rpartition("-")[2]] = (name, fragment)

    async def arrive(self, page: str) -> None:
        self.page = page
        self.widgets.clear()
        self.state.clear()
        self.figures.arrivals.append(await self.run())

    async def click(self, number: int) -> None:
        """Something else each time; every fourth time, another page."""
        if number % 4 == 3:
            await self.arrive(PAGES[(PAGES.index(self.page) + 1) % len(PAGES)])
            return
        name, pressed, key = self._choose(number)
        took = await self.run(pressed, self.widgets[key][1])
        self.figures.clicks.setdefault(name, []).append(took)

    def _choose(self, number: int) -> tuple[str, WidgetState | None, str]:
        """(kind of click, what the browser sends, the key of the widget)."""
        canvas = next((key for key in CANVASES if key in self.widgets), None)
        if canvas and number % 2:
            row, column = self.chance.randrange(8), self.chance.randrange(8)
            chosen = {"selection": {"row": row, "column": column, "head": 0}}
            self.state[canvas] = WidgetState(id=self.widgets[canvas][0], json_value=json.dumps(chosen))
            return "pixel", None, canvas
        if "network" in self.widgets:
            self.edits += 1
            letters = self.chance.choice("CL") + self.chance.choice("CL") + "LL"
            stages = [letter * depth for letter, depth in zip(letters, (3, 4, 6, 3), strict=True)]
            value = json.dumps([{"event": "edit", "value": {"number": self.edits, "stages": stages}}])
            trigger = f"$$STREAMLIT_INTERNAL_KEY_{self.widgets['network'][0]}__events"
            return "block", WidgetState(id=trigger, json_trigger_value=value), "network"
        others = [name for name in PICTURES if f"pick_{name}" in self.widgets and name != self.picture]
        self.picture = self.chance.choice(others)
        key = f"pick_{self.picture}"
        return "picture", WidgetState(id=self.widgets[key][0], trigger_value=True), key


@asynccontextmanager
async def visitor(server: Server, number: int, figures: Figures) -> AsyncIterator[Visitor]:
    url = f"ws://{urlsplit(server.url).netloc}/_stcore/stream"
    async with connect(url, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        yield Visitor(socket, PAGES[number % len(PAGES)], figures, random.Random(number))


async def session(server: Server, number: int, count: int, seconds: float, figures: Figures) -> None:
    """Arrive, each a little after the other, and click until the time is over."""
    begin = time.monotonic()
    await asyncio.sleep(PAUSE * number / count)
    try:
        async with visitor(server, number, figures) as one:
            await one.arrive(one.page)
            clicked = 0
            while time.monotonic() - begin < seconds:
                due = begin + PAUSE * (number / count + clicked + 1)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await one.click(clicked + number)
                clicked += 1
    except (TimeoutError, ConnectionClosed, OSError) as error:
        figures.errors.append(f"session {number + 1}: {type(error).__name__} {error}")


async def visit(server: Server, count: int, seconds: float, figures: Figures) -> None:
    await asyncio.gather(*(session(server, number, count, seconds, figures) for number in range(count)))


def browse(server: Server, count: int, seconds: float, figures: Figures) -> None:
    """Real pages, clicked in turn: from the click on a photograph until Streamlit says that it has finished."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        pages = []
        for _ in range(count):
            page = View().context(browser).new_page()
            page.goto(address(server, "lambda_layer"))
            settle(page)
            pages.append(page)
        end, turn = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            begin = time.monotonic()
            page, picture = pages[turn % count], PICTURES[turn // count % 2]
            chosen = f".st-key-pick_{picture} button"
            page.locator(chosen).first.click()
            page.wait_for_function(
                "([chosen, finished]) => getComputedStyle(document.querySelector(chosen)).outlineStyle === 'solid'"
                " && document.querySelector(finished)",
                arg=[chosen, FINISHED], timeout=1000 * PATIENCE,
            )  # fmt: skip
            if turn >= count:  # the first click of each page may find its photograph chosen already
                figures.browser.append(1000 * (time.monotonic() - begin))
            turn += 1
            page.wait_for_timeout(max(0.0, 1000 * (PAUSE / count - time.monotonic() + begin)))
        browser.close()


def measure(sessions: int, seconds: float, chromium: int) -> tuple[Figures, dict[str, float]]:
    """All that was found, and the server's resident memory in MB."""
    figures = Figures()
    with running_app() as server:
        warm = Figures()  # each page and picture once, by one visitor: networks load, caches fill
        asyncio.run(visit(server, 1, 4 * PAUSE, warm))
        memory = {"before": server_mb(server)}
        real = threading.Thread(target=browse, args=(server, chromium, seconds, figures)) if chromium else None
        if real:
            real.start()
        asyncio.run(visit(server, sessions, seconds / 2, figures))
        memory["halfway"] = server_mb(server)
        asyncio.run(visit(server, sessions, seconds / 2, figures))
        memory["after"] = server_mb(server)
        if real:
            real.join()
        if "Traceback (most recent call last)" in (said := server.errors()):
            figures.errors.append(f"log: {said[-2000:]}")
        figures.errors += warm.errors
    return figures, memory


def rows(figures: Figures, memory: dict[str, float]) -> list[dict]:
    """Each figure beside its target, where it has one."""
    every = [took for of_kind in figures.clicks.values() for took in of_kind]
    found: list[tuple[str, float, str]] = []
    groups = [("click", every), *((f"click: {name}", times) for name, times in sorted(figures.clicks.items()))]
    for name, times in [*groups, ("arrival on a page", figures.arrivals), ("click in Chromium", figures.browser)]:
        if times:
            found += [
                (f"{name} median", statistics.median(times), "ms"),
                (f"{name} p95", percentile(times, 0.95), "ms"),
            ]
            found.append((f"{name} count", len(times), ""))
    found.append(("errors", len(figures.errors), ""))
    found += [(f"server memory {when}", value, "MB") for when, value in memory.items()]
    found.append(("memory growth", 100 * (memory["after"] / memory["halfway"] - 1), "%"))  # sessions came twice
    result = []
    for name, value, unit in found:
        target = TARGETS.get(name)
        passed = None if target is None else value <= target
        result.append({"name": name, "value": round(value, 1), "unit": unit, "target": target, "passed": passed})
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30, help="light ones (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="in two halves (default %(default)s)")
    parser.add_argument("--chromium", type=int, default=0, metavar="N", help="real pages on top (default none)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    figures, memory = measure(options.sessions, options.seconds, options.chromium)
    result = {
        "command": f"python -m tests.browser.load --sessions {options.sessions} --seconds {options.seconds:g}"
        + (f" --chromium {options.chromium}" if options.chromium else ""),
        "date": date.today().isoformat(),
        "machine": {
            "cpu": cpu_name(), "cores": os.cpu_count(), "load": round(before, 1), "python": platform.python_version(),
        },
        "figures": rows(figures, memory),
        "errors": figures.errors[:20],
    }  # fmt: skip
    text = json.dumps(result, indent=2, ensure_ascii=False)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return int(any(row["passed"] is False for row in result["figures"]))


if __name__ == "__main__":
    sys.exit(main())
