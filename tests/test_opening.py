"""The head and the cover that are added to Streamlit's page, and nothing else that is changed."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from explorer import early, navigation, opening
from tests.node import NODE

PAGE = b"<html><head><title>Streamlit</title></head><body></head><body></html>"
HTML = (b"accept", b"text/html,application/xhtml+xml")


def asked(headers, answer_headers, *bodies, status=200, path="/", query=b""):
    """(what Streamlit was asked with, what was sent) for one GET."""
    seen, sent = [], []

    async def streamlit(scope, receive, send):
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": status, "headers": answer_headers})
        for number, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": number + 1 < len(bodies)})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": headers}
    asyncio.run(opening.Opening(streamlit)(scope, None, send))
    return seen, sent


def html_headers(length):
    return [(b"content-type", b"text/html"), (b"etag", b'"old"'), (b"content-length", str(length).encode())]


def cover_of(name):
    return opening.cover(next(page for page in navigation.find() if page.path.stem == name))


def test_a_page_gets_the_head_and_the_cover_once_and_its_length():
    seen, (start, body) = asked([HTML, (b"accept-encoding", b"gzip"), (b"if-none-match", b"x")], html_headers(9), PAGE)
    assert seen == [HTML]
    expected = PAGE.replace(b"</title></head>", b"</title>" + opening.head() + b"</head>")
    assert body["body"] == expected.replace(b"<body></head>", b"<body>" + cover_of("home") + b"</head>")
    assert dict(start["headers"]) == {b"content-type": b"text/html", b"content-length": b"%d" % len(body["body"])}


@pytest.mark.parametrize(
    ("path", "name"),
    [("/", "home"), ("/scope", "scope"), ("/scope/", "scope"), ("/proxy/app/memory", "memory"), ("/nothing", "home")],
)
def test_each_page_has_its_cover(path, name):
    _, (_, body) = asked([HTML], html_headers(9), PAGE, path=path)
    assert cover_of(name) in body["body"]


def test_a_cover_says_what_the_page_is_and_escapes_it():
    page = navigation.PageInfo(Path("new.py"), "A < B", "Measure", 1, "It's <i>new</i>.")
    text = opening.cover(page).decode()
    assert "<h1>A &lt; B</h1>" in text and "&lt;i&gt;new" in text and "<i>" not in text
    assert f"<h1>{navigation.NAME}</h1>" in cover_of("home").decode()


# A browser in which the first heading stands at once; its timers run when they are told to.
BROWSER = """
const done = [], timers = [];
const heading = { tagName: "H1", textContent: "Scope" }, main = { querySelectorAll: () => [heading] };
const cover = {
  style: {}, classList: { toggle: (name, on) => done.push(`${name} ${on}`) }, remove: () => done.push("removed"),
};
Object.assign(globalThis, {
  document: { getElementById: () => cover, querySelector: () => main }, location: { pathname: "/" }, window: {},
  matchMedia: () => ({ matches: true }), setInterval: (run) => timers.push(run), clearInterval() {},
  setTimeout: (run) => timers.push(run),
});
Object.defineProperty(globalThis, "localStorage", { get() { STORED } });
"""


@pytest.mark.parametrize(
    ("stored", "dark"),
    [
        ('throw new Error("denied")', True),
        ("return {}", True),
        ("""return { "stActiveTheme-/-v1": '{"name":"Light"}' }""", False),
    ],
)
def test_the_cover_goes_also_where_storage_is_blocked(stored, dark):
    script = re.findall("<script>(.*?)</script>", cover_of("scope").decode(), re.DOTALL)[-1]
    run = "while (timers.length) timers.shift()();\nconsole.log(JSON.stringify([cover.style.opacity, done]));"
    text = "\n".join([BROWSER.replace("STORED", stored), script, run])
    found = subprocess.run([NODE, "--input-type=module", "-e", text], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == [0, [f"dark {str(dark).lower()}", "removed"]]


def test_what_the_cover_asks_for_comes_before_the_clients_files_and_is_escaped():
    page = b'<html><head><meta charset="utf-8"><link href="client.js"></head><body></body></html>'
    _, (_, body) = asked([HTML], html_headers(9), page, path="/lambda_layer", query=b'image=cat&layer="><b>')
    links = b"".join(re.findall(rb"<link.*?>", body["body"]))
    assert re.findall(rb'href="([^"]*)"', links) == [
        b"./" + early.ask().split('"')[1].encode(),
        b"./early/trace?image=cat&amp;layer=&quot;&gt;&lt;b&gt;",
        b"client.js",
    ]
    assert body["body"].index(opening.head()) < body["body"].index(b"client.js")
    assert b"early" not in asked([HTML], html_headers(9), page, path="/scope")[1][1]["body"].replace(
        b"earlyLambda", b""
    )


def test_a_page_in_pieces_states_no_length():
    _, (start, first, second) = asked([HTML], html_headers(9), PAGE, b"more")
    assert opening.head() in first["body"] and second["body"] == b"more"
    assert b"content-length" not in dict(start["headers"])


@pytest.mark.parametrize(
    ("headers", "kind", "status"),
    [([(b"accept", b"*/*")], b"text/html", 200), ([HTML], b"image/png", 200), ([HTML], b"text/html", 404)],
)
def test_everything_else_passes_unchanged(headers, kind, status):
    answer = [(b"content-type", kind), (b"content-length", b"9")]
    _, (start, body) = asked(headers, answer, PAGE, status=status)
    assert start["headers"] == answer and body["body"] == PAGE


@pytest.mark.parametrize("prefix", ["/", "/proxy/app/"])
def test_the_server_is_where_the_pages_begin(prefix):
    pattern = re.search(rb"replace\(/(.*)/, '/'\)", opening.head())
    assert pattern
    for page in ("", *(info.path.stem for info in navigation.find())):
        assert re.sub(pattern[1].decode().replace("\\/", "/"), "/", prefix + page) == prefix
    assert re.sub(pattern[1].decode().replace("\\/", "/"), "/", "/no_such_page") == "/no_such_page"
