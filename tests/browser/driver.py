"""The real app in a real browser: start the server, find Chromium, watch a page for anything that goes wrong.

python -m tests.browser.driver    prints the Chromium that the tests would drive, or says that there is none
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Response, sync_playwright

ROOT = Path(__file__).parent.parent.parent
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
OWN_HOSTS = {"localhost", "127.0.0.1", "[::1]", "::1"}
IN_THE_PAGE = {"data", "blob", "about"}  # schemes that reach no network
FINISHED = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
SOMETHING = '[data-testid="stMain"] [data-testid="stElementContainer"]'
PAPER: dict[Literal["light", "dark"], str] = {
    "light": "rgb(255, 255, 255)",
    "dark": "rgb(17, 20, 25)",
}  # the page itself
# One run may set off another, and what is drawn may wait for its script: take the page once it stays finished. (A
# promise would pass at once: Playwright takes it for the answer.)
CALM = """selector => {
    const busy = !document.querySelector(selector) || document.querySelector("[data-testid=stSkeleton]");
    window.calmSince = busy ? null : window.calmSince ?? performance.now();
    return !busy && performance.now() - window.calmSince >= 250;
}"""
EXCEPTION = '[data-testid="stException"]'


@dataclass(frozen=True)
class Server:
    """A running app: its address, its process and what it writes to stderr."""

    url: str
    pid: int
    log: Path

    def errors(self, start: int = 0) -> str:
        """What the server has written to stderr since `start` (bytes)."""
        return self.log.read_bytes()[start:].decode(errors="replace")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for_health(url: str, process: subprocess.Popen, log: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.05)
    raise RuntimeError(f"the app did not start:\n{log.read_text(errors='replace')}")


def _end(process: subprocess.Popen) -> None:
    """Stop the process and everything that it started; it leads a group of its own."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def running_app(*options: str, entry: str = "explorer/app.py") -> Iterator[Server]:
    """`streamlit run` on a free port, from the repository root; the whole process group ends with the block."""
    port = free_port()
    url = f"http://localhost:{port}"
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        entry,
        "--server.headless=true",
        f"--server.port={port}",
        *options,
    ]
    with TemporaryDirectory() as folder:
        log = Path(folder, "stderr.txt")
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
            )
        try:
            _wait_for_health(url, process, log)
            yield Server(url, process.pid, log)
        finally:
            _end(process)


def chromium_path(playwright: Playwright) -> str | None:
    """The variable CHROMIUM, else Playwright's own browser, else one on the PATH."""
    own = playwright.chromium.executable_path
    candidates = [os.environ.get("CHROMIUM"), own if Path(own).exists() else None, *map(shutil.which, CHROMIUM_NAMES)]
    return next(filter(None, candidates), None)


def _existing(playwright: Playwright) -> str:
    path = chromium_path(playwright)
    if path is None:
        raise RuntimeError("no Chromium: put its path into CHROMIUM, or run `python -m playwright install chromium`")
    return path


def launch(playwright: Playwright, *more: str) -> Browser:
    """Chromium without a window, with a camera that shows a test picture."""
    return playwright.chromium.launch(executable_path=_existing(playwright), args=[*ARGUMENTS, *more])


def open_profile(playwright: Playwright, folder: Path, *more: str) -> BrowserContext:
    """Chromium with a profile in a folder, which no window in private has: what it compiled is kept there."""
    return playwright.chromium.launch_persistent_context(
        folder, executable_path=_existing(playwright), args=[*ARGUMENTS, *more], permissions=["camera"]
    )


@dataclass(frozen=True)
class View:
    """How a visitor looks at the app."""

    width: int = 1440
    height: int = 1000
    color_scheme: str = "light"
    reduced_motion: str = "no-preference"

    def __str__(self) -> str:
        return f"{self.width}x{self.height}-{self.color_scheme}"

    def context(self, browser: Browser) -> BrowserContext:
        return browser.new_context(
            viewport={"width": self.width, "height": self.height},
            color_scheme=self.color_scheme,  # type: ignore[arg-type]
            reduced_motion=self.reduced_motion,  # type: ignore[arg-type]
            permissions=["camera"],
        )

    def page(self, context: BrowserContext) -> Page:
        """A new page of any context, shown in this way."""
        page = context.new_page()
        page.set_viewport_size({"width": self.width, "height": self.height})
        page.emulate_media(color_scheme=self.color_scheme, reduced_motion=self.reduced_motion)  # type: ignore[arg-type]
        return page


@dataclass
class Watch:
    """Everything a page did that it should not have done, and every address it asked for."""

    console: list[str] = field(default_factory=list)
    uncaught: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.uncaught.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console.append(f"{message.text} ({message.location.get('url', '')})")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.status} {response.url}")

    @property
    def foreign(self) -> list[str]:
        """Requests that left this machine."""
        parts = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, part in parts if part.scheme not in IN_THE_PAGE and part.hostname not in OWN_HOSTS]

    def problems(self) -> list[str]:
        kinds = {
            "console error": self.console,
            "uncaught exception": self.uncaught,
            "failed answer": self.failed,
            "request to another host": self.foreign,
        }
        return [f"{kind}: {text}" for kind, texts in kinds.items() for text in texts]


def address(server: Server, path: str = "/", **query: object) -> str:
    """A page of the app with query parameters."""
    return f"{server.url}/{path.lstrip('/')}" + (f"?{urlencode(query)}" if query else "")


def untrained(file: Path, size: int, classes: tuple[str, ...], **overrides: Any) -> Path:
    """Write random weights for pictures of `size` px; the same every time."""
    import torch  # only here: who looks for a Chromium need not wait for it

    from lambda_core import build, save_checkpoint

    torch.manual_seed(0)
    overrides = {"num_classes": len(classes), **overrides}
    save_checkpoint(
        file, build("lambda_resnet_mini", **overrides),
        architecture={"name": "lambda_resnet_mini", "overrides": overrides}, classes=classes,
        preprocess={"size": size, "mean": [0.5] * 3, "std": [0.5] * 3},
    )  # fmt: skip
    return file


def bring_small_network(page: Page, folder: Path, **overrides: Any) -> None:
    """Send random weights for pictures of 32 px by the menu of networks: the first lambda layer's map is 4 x 4."""
    file = untrained(folder / "small.safetensors", 32, ("apple", "pear"), **overrides)
    page.locator(".st-key-network_popover button").first.click()
    page.get_by_test_id("stPopoverBody").locator("input[type=file]").set_input_files(file)
    page.locator(".st-key-network_popover").get_by_text("small.safetensors").first.wait_for()
    page.keyboard.press("Escape")
    settle(page)


def settle(page: Page, timeout_s: float = 60) -> None:
    """Wait until Streamlit has run the script and drawn what came of it."""
    page.wait_for_selector(f"{FINISHED} {SOMETHING}", state="attached", timeout=timeout_s * 1000)
    page.wait_for_load_state("networkidle")
    page.evaluate("() => { window.calmSince = null }")
    page.wait_for_function(CALM, arg=FINISHED, timeout=timeout_s * 1000)


def main() -> int:
    with sync_playwright() as playwright:
        path = chromium_path(playwright)
        if path is None:
            print("no Chromium found", file=sys.stderr)
            return 1
        browser = launch(playwright)
        print(f"Chromium {browser.version} at {path}")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
