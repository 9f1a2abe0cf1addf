"""How the server meets a visitor: at once, with Streamlit's client from memory, and with the network open."""

import asyncio
import os
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import streamlit as st

from explorer import importing, navigation

STATIC = Path(st.__file__).parent / "static"  # index.html, and in static/ the client, whose names carry hashes
FOR_EVER = "public, immutable, max-age=31536000"  # for a file whose address names its content, as Streamlit says it
CONNECTED = (socket.AF_INET, socket.AF_INET6)


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    port = st.get_option("server.port")
    send_at_once(port)
    threading.Thread(target=warm, daemon=True).start()
    if not st.get_option("server.headless"):  # Streamlit does so where it runs a script, not where it runs a server
        threading.Thread(target=webbrowser.open, args=(f"http://localhost:{port}",), daemon=True).start()
    yield
    from explorer import jobs  # PyTorch comes with it: not before the first page

    jobs.close()  # an interrupted server does not come to what Python does at its end


def send_at_once(port: int) -> int:
    """Switch Nagle's algorithm off on the sockets that listen on a port; connections made to them inherit that.

    asyncio does so on sockets with TCP's protocol number. Streamlit 1.67 binds one with number 0, and so an answer of
    two packets waits for a delayed acknowledgement, 40 ms on Linux. Returns how many sockets were found.
    """
    found = 0
    for name in os.listdir("/dev/fd") if Path("/dev/fd").is_dir() else ():
        try:
            copy = os.dup(int(name))
        except OSError:  # the directory's own, closed by now
            continue
        try:
            listener = socket.socket(fileno=copy)
        except OSError:  # no socket
            os.close(copy)
            continue
        with listener:
            if listener.family in CONNECTED and listener.getsockname()[1] == port:
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                found += 1
    return found


def warm() -> None:
    """Import what the first page needs, let the network run once, and import the rest."""
    with importing.LOCK:
        from explorer import canvas, controls, exporting, formula, loading, sidebar, tour  # noqa: F401
    loading.warm()
    for page in navigation.find():
        importing.imports(page.path)
    with importing.LOCK:
        from explorer import plots  # noqa: F401 - matplotlib, for the first export


class Client:
    """Middleware that answers for the client's files from memory: a first visit asks for sixty of them and more."""

    def __init__(self, app: Any) -> None:
        self.app = app
        files = (file for file in (STATIC / "static").rglob("*") if file.is_file())
        self.files = {f"/{file.relative_to(STATIC).as_posix()}": file for file in files}
        self.read: dict[str, bytes] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in self.files:
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if path not in self.read:
            self.read[path] = await asyncio.to_thread(self.files[path].read_bytes)
        fields = {
            "content-type": guess_type(path)[0] or "application/octet-stream",
            "content-length": str(len(self.read[path])),
            "cache-control": FOR_EVER,
        }
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.read[path]})
