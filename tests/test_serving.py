"""The server: no delays between packets, and Streamlit's client from memory."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from explorer import loading, serving


@pytest.fixture
def listener():
    with socket.socket() as listening:  # as Streamlit binds it: its protocol number is 0
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def delayed(listener: socket.socket) -> bool:
    """Whether a connection made now waits for acknowledgements."""
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        return accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0


def test_connections_send_at_once(listener):
    port = listener.getsockname()[1]
    assert delayed(listener)
    assert serving.send_at_once(port) == 1
    assert not delayed(listener)


def test_other_ports_are_left_alone(listener):
    assert serving.send_at_once(1) == 0
    assert delayed(listener)


def asked(path: str, method: str = "GET", kind: str = "http") -> list[dict]:
    """What is sent for a request; ["passed on"] where it goes to Streamlit."""
    sent: list = []

    async def streamlit(scope, receive, send):
        sent.append("passed on")

    async def send(message):
        sent.append(message)

    asyncio.run(serving.Client(streamlit)({"type": kind, "method": method, "path": path}, None, send))
    return sent


def test_the_client_comes_from_memory_whole():
    for file in (serving.STATIC / "static" / "js").glob("index.*.js"):
        start, body = asked(f"/static/js/{file.name}")
        assert body["body"] == file.read_bytes()
        headers = dict(start["headers"])
        assert headers[b"content-length"] == str(file.stat().st_size).encode()
        assert b"javascript" in headers[b"content-type"]


def test_everything_else_is_streamlits():
    file = next((serving.STATIC / "static" / "js").glob("index.*.js"))
    for path in ("/", "/index.html", "/static/../index.html", "/static/js/", "/_stcore/health", "//static"):
        assert asked(path) == ["passed on"]
    assert asked(f"/static/js/{file.name}", method="POST") == ["passed on"]
    assert asked(f"/static/js/{file.name}", kind="websocket") == ["passed on"]


@pytest.mark.parametrize(("default", "processors", "threads"), [(2, 2, 1), (1, 8, 1), (8, 16, 8), (8, 8, 4), (1, 1, 1)])
def test_the_runs_of_two_visitors_fit_on_the_processors(default, processors, threads):
    assert loading.threads_a_page(default, processors) == threads


def test_the_app_is_that_of_its_own_checkout(tmp_path):
    other = tmp_path / "explorer"
    other.mkdir()
    (other / "__init__.py").write_text("raise RuntimeError('another checkout')\n")
    app = Path(serving.__file__).with_name("app.py")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    run = subprocess.run([sys.executable, app], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
