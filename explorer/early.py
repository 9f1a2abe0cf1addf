"""The picture of the step page before Streamlit's client stands: the page's own canvas, on the tensors of the link.

The client takes most of a second to begin to draw; the canvas is small and needs nothing of it. `Early` answers for the
script and for the tensors; the cover (`opening`) draws them, and goes once the page has drawn.
"""

import hashlib
import json
from dataclasses import replace
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from explorer import importing
from explorer.serving import FOR_EVER

SCRIPT, TRACE = "early/canvas.js", "early/trace"


@lru_cache(maxsize=1)
def script() -> bytes:
    """The canvas as a module: `drawEarly` of the component, its style sheet as `css`, and the page's `fonts`."""
    from explorer import theme
    from explorer.components import lambda_canvas

    assets = lambda_canvas.assets()
    texts = f"css = {json.dumps(assets['css'])}, fonts = {json.dumps(theme.css_fonts())}"
    return f"{assets['js']}\nexport {{ drawEarly }};\nexport const {texts};\n".encode()


def links(query: str) -> str:
    """HTML for the head of the page, before the client's own sixty files: what the cover will ask for."""
    return (
        f'<link rel="modulepreload" href="./{_script_address()}">'
        f'<link rel="preload" as="fetch" crossorigin href="./{TRACE}{escape("?" + query if query else "")}">'
    )


def ask() -> str:
    """JavaScript for the cover: `early`, the promise of the module and of the answer with the tensors."""
    return (
        "const root = window.__streamlit.BACKEND_BASE_URL, early = Promise.all(["
        f'import(root + "{_script_address()}"), fetch(root + "{TRACE}" + location.search)]);'
    )


@lru_cache(maxsize=1)
def _script_address() -> str:
    return f"{SCRIPT}?{hashlib.sha256(script()).hexdigest()[:16]}"


def trace(query: str) -> bytes | None:
    """What a new visitor's canvas is sent for a link; None where the link asks for what only a session has.

    A layer, a pixel or a step that does not exist is the first or the nearest, as on the page, which says so.
    """
    with importing.LOCK:
        from explorer import canvas, images, loading, state
        from lambda_core.checkpoints import zoo

    selection, _ = state.from_query(dict(parse_qsl(query)))
    name = selection.network or loading.HOME
    if selection.image not in images.GALLERY or name not in zoo():
        return None
    network = None if name == loading.HOME else loading.shipped(name)
    paths = [layer.path for layer in loading.lambda_layers(loading.checkpoint_of(network).model)]
    if not paths:
        return None
    path = selection.layer if selection.layer in paths else paths[0]
    picture = images.gallery_picture(selection.image)
    traced = loading.traced_by(network, picture, path)
    if not selection.pinned:
        selection = replace(selection, row=traced.layer["height"] // 2, column=traced.layer["width"] // 2)
    selection, _ = state.clamp(selection, canvas.limits(traced.layer))
    return canvas.packed(picture, traced, 0, selection)


class Early:
    """Middleware that answers for the canvas's script and, with the parameters of a link, for its tensors."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        answer = None
        if scope["type"] == "http" and scope["path"].endswith(f"/{SCRIPT}"):
            answer = Response(
                await run_in_threadpool(script), headers={"cache-control": FOR_EVER}, media_type="text/javascript"
            )
        elif scope["type"] == "http" and scope["path"].endswith(f"/{TRACE}"):
            content = await run_in_threadpool(trace, scope["query_string"].decode("ascii", "replace"))
            answer = Response(content, 204 if content is None else 200, media_type="application/octet-stream")
        await (answer or self.app)(scope, receive, send)
