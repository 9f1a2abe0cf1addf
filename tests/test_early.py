"""The step page's picture before its client: the tensors of a link, as a new visitor's canvas is sent them."""

import asyncio
from urllib.parse import urlencode

import numpy as np
import pytest

from explorer import canvas, early, images, loading
from explorer.components.lambda_canvas import unpack_trace
from explorer.state import Selection

LAYERS = [layer.path for layer in loading.lambda_layers(loading.checkpoint_of(None).model)]


def sent(**parameters):
    packed = early.trace(urlencode(parameters))
    assert packed is not None
    return unpack_trace(packed)


def test_it_is_what_the_page_sends():
    picture = images.gallery_picture("cat")
    traced = loading.traced_by(None, picture, LAYERS[1])
    chosen = Selection("cat", layer=LAYERS[1], row=1, column=2, step=5, pinned=True)
    header, tensors = sent(image="cat", layer=LAYERS[1], row=2, column=3, step=5)
    expected, values = unpack_trace(canvas.packed(picture, traced, 0, chosen))
    assert header == expected
    assert tensors.keys() == values.keys() and all(np.array_equal(tensors[name], values[name]) for name in tensors)


def test_without_a_pixel_it_is_the_middle_of_the_map():
    for layer in (LAYERS[0], LAYERS[-1]):
        header, _ = sent(layer=layer)
        about, chosen = header["layer"], header["selection"]
        assert (chosen["row"], chosen["column"]) == (about["height"] // 2, about["width"] // 2)
        assert chosen["pinned"] is False


def test_a_link_out_of_range_gives_the_nearest():
    header, _ = sent(layer="stages.9", row=400, column=2, head="many", step=77, cell="none")
    assert header["layer"]["name"] == LAYERS[0]
    chosen = header["selection"]
    assert (chosen["row"], chosen["column"], chosen["head"], chosen["step"], chosen["cell"]) == (15, 1, 0, 8, None)


def test_a_network_that_ships():
    header, _ = sent(network="micro_scope7")
    assert header["layer"]["scope"] == 7


@pytest.mark.parametrize("query", ["image=upload", "image=nothing", "network=mine.safetensors", "network=resnet_small"])
def test_what_only_a_session_has_and_a_network_without_a_lambda_layer_give_nothing(query):
    assert early.trace(query) is None


def asked(path, query=b"", kind="http"):
    said = []

    async def streamlit(scope, receive, send):
        said.append("passed on")

    async def send(message):
        said.append(message)

    scope = {"type": kind, "method": "GET", "path": path, "query_string": query, "headers": []}
    asyncio.run(early.Early(streamlit)(scope, None, send))
    return said


@pytest.mark.parametrize("prefix", ["/", "/proxy/app/"])
def test_the_script_and_the_tensors_are_answered(prefix):
    start, body = asked(prefix + early.SCRIPT)
    assert dict(start["headers"])[b"content-type"].startswith(b"text/javascript")
    assert b"\nexport { drawEarly };" in body["body"] and body["body"] == early.script()
    start, body = asked(prefix + early.TRACE, b"image=cat")
    assert start["status"] == 200 and body["body"] == early.trace("image=cat")
    start, body = asked(prefix + early.TRACE, b"image=%ff\xff")
    assert start["status"] == 204 and body["body"] == b""


@pytest.mark.parametrize(("path", "kind"), [("/", "http"), ("/lambda_layer", "http"), ("/early/trace", "websocket")])
def test_everything_else_is_streamlits(path, kind):
    assert asked(path, kind=kind) == ["passed on"]
