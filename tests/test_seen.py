"""What a network sees of a picture, as canvases get it: a photograph, or the pixels of a coarse network as squares."""

import base64
import io
import json
import subprocess

import numpy as np
import pytest
from PIL import Image

from explorer import canvas, images, loading
from explorer.components.lambda_canvas import unpack_trace
from explorer.state import Selection
from lambda_core.data import framing, square
from tests.node import NODE
from tests.test_lambda_canvas import FOLDER, traced

CAT = images.gallery_picture("cat")


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def check_squares(text: str, preprocess: dict, least: int) -> None:
    """The picture is PNG, and of the very pixels that the network takes."""
    shown, seen = opened(text), square(CAT.image, preprocess["size"], **framing(preprocess))
    times = shown.width // seen.width
    assert shown.format == "PNG" and least <= shown.width < least + seen.width
    assert np.array_equal(np.array(shown), np.array(seen).repeat(times, 0).repeat(times, 1))


@pytest.mark.parametrize("preprocess", [{"size": 32}, {"size": 95, "crop": 0.875, "interpolation": "bilinear"}])
def test_a_coarse_network_is_shown_its_pixels(preprocess):
    check_squares(loading.seen(CAT, 384, preprocess), preprocess, 384)


@pytest.mark.parametrize(("size", "side"), [(96, 512), (224, 384), (32, 104)])
def test_a_finer_network_and_a_small_face_have_a_photograph(size, side):
    shown = opened(loading.seen(CAT, side, {"size": size}))
    assert (shown.format, shown.size) == ("JPEG", (side, side))


def test_the_canvas_has_the_picture_of_the_network_that_was_traced():
    _, tensors, settings, _ = traced("plain")
    preprocess = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "crop": 0.9}
    found = loading.Traced(tensors, settings, np.ones(1), preprocess)
    header, _ = unpack_trace(canvas.packed(CAT, found, 1, Selection()))
    check_squares(header["photo"]["jpeg"], preprocess, canvas.PHOTO_SIDE)


SCRIPT = """
import { readFileSync } from "node:fs";
import { pictureUrl } from "./picture.js";
import { greyPhoto } from "./plates.js";
const drawn = [], entry = { canvas: {}, stamp: null };
entry.context = {
  drawImage: (image) => drawn.push(image.name), getImageData: () => ({ data: [] }), putImageData() {},
};
const [one, other] = ["one", "other"].map((name) => ({ name, src: "equally long" }));
for (const [image, dark] of [[one, false], [one, false], [other, false], [other, true]]) {
  greyPhoto({ plate: () => entry }, image, 480, 480, dark);
}
const urls = JSON.parse(readFileSync(0)).map(pictureUrl).map((url) => url.slice(0, 24));
console.log(JSON.stringify([urls, drawn]));
"""


def test_the_browser_knows_squares_from_a_photograph_and_one_photograph_from_another(tmp_path):
    for file in FOLDER.glob("*.js"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "package.json").write_text('{"type": "module"}')
    sent = json.dumps([loading.seen(CAT, 384, {"size": size}) for size in (32, 224)])
    start = [NODE, "--input-type=module", "-e", SCRIPT]
    done = subprocess.run(start, cwd=tmp_path, input=sent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    urls, drawn = json.loads(done.stdout)
    assert urls == ["data:image/png;base64,iV", "data:image/jpeg;base64,/"]
    assert drawn == ["one", "other", "other"]
