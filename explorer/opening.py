"""What the first answer to a visitor carries, so that the page opens sooner: where the server is."""

from typing import Any

from explorer import navigation


def head() -> bytes:
    """HTML for the head of Streamlit's page.

    The client looks for its server below the address of the page first, is told 404, and asks again only later: it is
    told where the server is, which works below a prefix of a proxy too.
    """
    pages = "|".join(page.path.stem for page in navigation.find())
    root = f"location.origin + location.pathname.replace(/\\/({pages})?\\/?$/, '/')"
    return f"<script>window.__streamlit = {{BACKEND_BASE_URL: {root}}}</script>".encode()


class Head:
    """Middleware that puts `head()` into the page of a visitor who asks for HTML."""

    def __init__(self, app: Any) -> None:
        self.app, self.head = app, head()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and b"text/html" in dict(scope["headers"]).get(b"accept", b""):
            # Neither compressed, which could not be added to, nor "not modified", which would keep an old head.
            left = (b"accept-encoding", b"if-none-match", b"if-modified-since")
            scope = scope | {"headers": [pair for pair in scope["headers"] if pair[0] not in left]}
            send = self._adding(send)
        await self.app(scope, receive, send)

    def _adding(self, send: Any) -> Any:
        held: list[dict[str, Any]] = []  # the start of a page, until its body tells how long it is

        async def adding(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200 and _is_html(message):
                held.append(message)
            elif held and message["type"] == "http.response.body":
                body = message["body"].replace(b"</head>", self.head + b"</head>", 1)
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
