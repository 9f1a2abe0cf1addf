"""What the first answer to a visitor carries: where the server is, and a cover that stands until the page does."""

import re
from collections.abc import Callable
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from explorer import early, navigation, theme

ASSETS = Path(__file__).with_name("assets")
ONE_ENTRY_A_PAGE = """
{
  const push = history.pushState, replace = history.replaceState;
  history.pushState = function (data, title, url) {
    const here = new URL(url ?? "", location.href).pathname === location.pathname;
    (here ? replace : push).call(this, data, title, url);
  };
}
"""
EARLY = "lambda_layer"  # the page whose picture the cover draws


def head() -> bytes:
    """HTML for the head of Streamlit's page.

    The client looks for its server below the address of the page first, is told 404, and asks again only later: it is
    told where the server is, which works below a prefix of a proxy too. It also makes an entry in the browser's history
    of every pixel and step that a page writes into its address, and going back to one changes the address alone: what
    is written replaces the entry, so that Back leads to the page before.
    """
    pages = "|".join(page.path.stem for page in navigation.find())
    root = f"location.origin + location.pathname.replace(/\\/({pages})?\\/?$/, '/')"
    return f"<script>window.__streamlit = {{BACKEND_BASE_URL: {root}}};{ONE_ENTRY_A_PAGE}</script>".encode()


@lru_cache(maxsize=64)
def cover(page: navigation.PageInfo) -> bytes:
    """HTML for the body: what the page is called and is for, in its colours, until its first heading stands.

    The client takes most of a second to begin to draw; the cover is drawn with the first answer, that of EARLY with the
    page's picture.
    """
    files = ["cover.html"] + ["early.html"] * (page.path.stem == EARLY)
    text = Template("".join((ASSETS / file).read_text(encoding="utf-8") for file in files)).substitute(
        light=theme.css_properties("light"),
        dark=theme.css_properties("dark"),
        logo=(ASSETS / "logo.svg").read_text(encoding="utf-8"),
        title=escape(page.title if page.group else navigation.NAME),
        about=escape(page.about),
        ask=early.ask() if page.path.stem == EARLY else "",
    )
    return text.encode()


class Opening:
    """Middleware that puts `head()` and `cover()` into the page of a visitor who asks for HTML."""

    def __init__(self, app: Any) -> None:
        self.app, self.head = app, head()
        self.pages = {page.path.stem: page for page in navigation.find()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and b"text/html" in dict(scope["headers"]).get(b"accept", b""):
            # Neither compressed, which could not be added to, nor "not modified", which would keep an old head.
            left = (b"accept-encoding", b"if-none-match", b"if-modified-since")
            scope = scope | {"headers": [pair for pair in scope["headers"] if pair[0] not in left]}
            name = scope["path"].rstrip("/").rpartition("/")[2]
            links = early.links(scope["query_string"].decode("ascii", "replace")) if name == EARLY else ""
            page = self.pages.get(name, self.pages["home"])
            send = _adding(send, links.encode() + self.head, cover(page))
        await self.app(scope, receive, send)


def _adding(send: Any, head: bytes, cover: bytes) -> Callable[[dict[str, Any]], Any]:
    held: list[dict[str, Any]] = []  # the start of a page, until its body tells how long it is

    async def adding(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200 and _is_html(message):
            held.append(message)
        elif held and message["type"] == "http.response.body":
            body = re.sub(rb"<link|</head>", lambda found: head + found[0], message["body"], count=1)
            body = body.replace(b"<body>", b"<body>" + cover, 1)
            start = held.pop()
            headers = [pair for pair in start["headers"] if pair[0] not in (b"content-length", b"etag")]
            if not message.get("more_body"):
                headers.append((b"content-length", str(len(body)).encode()))
            await send(start | {"headers": headers})
            await send(message | {"body": body})
        else:
            await send(message)

    return adding


def _is_html(start: dict[str, Any]) -> bool:
    return dict(start["headers"]).get(b"content-type", b"").startswith(b"text/html")
