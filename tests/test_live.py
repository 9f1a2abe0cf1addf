"""Live: maps agree with other implementations, frames are checked before they are used, and a frozen one stays."""

import base64
import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from explorer import images, live, navigation, theme
from explorer.components.camera import assets
from explorer.look import OVERLAYS, PINNED, look
from lambda_core import build, load_checkpoint, trace
from lambda_core.data import prepare

HALVES = {"content": ["content"], "position": ["position"], "content position": ["content", "position", "sum"], "": []}
NODE = shutil.which("node")
COMPONENT = Path(live.__file__).parent / "components" / "camera"
PATH = "stages.2.0.mix"


@pytest.fixture(scope="module")
def network():
    return load_checkpoint("lambda_resnet_mini")


@pytest.fixture(scope="module")
def x(network):
    return prepare(images.gallery_picture("coffee").image, network.preprocess)


def test_gradcam_is_captums(network, x):
    from captum.attr import LayerGradCam

    seen = look(network.model, x, PATH, overlay="gradcam")
    layer = network.model.get_submodule(PATH)
    likeliest = int(seen.answers.logits.argmax())
    expected = LayerGradCam(network.model, layer.output).attribute(x, likeliest, relu_attributions=True)
    np.testing.assert_allclose(seen.heat, expected[0, 0].detach(), atol=1e-6)
    assert seen.heat.max() > 0


def test_gradcam_at_a_block_of_convolutions_is_captums():
    from captum.attr import LayerGradCam

    model, picture = build("lambda_resnet_mini", num_classes=3, stages="CCCC").eval(), torch.randn(1, 3, 64, 64)
    seen = look(model, picture, "stages.2.0", overlay="gradcam")
    likeliest = int(seen.answers.logits.argmax())
    block = model.get_submodule("stages.2.0")
    expected = LayerGradCam(model, block).attribute(picture, likeliest, relu_attributions=True)
    np.testing.assert_allclose(seen.heat, expected[0, 0].detach(), atol=1e-6)
    assert seen.grid == tuple(expected.shape[2:])


@pytest.mark.parametrize(("row", "column", "head"), [(0, 0, 0), (7, 3, 2), (15, 15, 3)])
def test_the_weights_of_a_pixel_make_its_output(network, x, row, column, head):
    """The sum over positions of weight times value is what the layer gives for this pixel and head."""
    taps = trace(network.model, x)
    n, values = row * 16 + column, taps[f"{PATH}.v"][0, :, :, 0].numpy()
    parts = {"content": ["content"], "position": ["position"], "sum": ["content", "position"]}
    for overlay in PINNED:
        seen = look(network.model, x, PATH, overlay=overlay, row=row, column=column, head=head)
        expected = sum(taps[f"{PATH}.{part}_output"][0, head, n].numpy() for part in parts[overlay])
        np.testing.assert_allclose(seen.heat.reshape(-1) @ values, expected, atol=1e-4)
        np.testing.assert_allclose(seen.answers.logits, taps["output"], atol=1e-5)


def test_a_place_beyond_the_map_is_its_last(network, x):
    last = look(network.model, x, PATH, overlay="sum", row=15, column=15, head=3)
    beyond = look(network.model, x, PATH, overlay="sum", row=99, column=99, head=99)
    np.testing.assert_array_equal(last.heat, beyond.heat)


@pytest.mark.parametrize("half", ["content", "position"])
def test_a_layer_with_one_half_shows_zero_for_the_other(half):
    model = build("lambda_resnet_mini", num_classes=3, **{half: False}).eval()
    seen = look(model, torch.randn(1, 3, 64, 64), PATH, overlay=half)
    assert not seen.heat.any()
    assert look(model, torch.randn(1, 3, 64, 64), PATH, overlay="sum").heat.any()


def test_no_hook_stays(network, x):
    for overlay in OVERLAYS:
        look(network.model, x, PATH, overlay=overlay)
    assert not any(module._forward_hooks for module in network.model.modules())


def jpeg(side=128, colour=(200, 40, 40)):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "text", [None, 7, ["x"], "no base64!", "", base64.b64encode(b"<svg>").decode(), "A" * (live.LARGEST + 4)]
)
def test_what_is_no_frame_is_refused_in_a_sentence(text):
    with pytest.raises(images.ImageRefused) as refused:
        live.decoded(text)
    assert str(refused.value).endswith(".")


def converse():
    import streamlit as st

    from explorer import live, sidebar

    sidebar.existing()
    if "frame" in st.session_state:
        st.session_state[live.KEY] = {"frame": st.session_state["frame"]}
        live._on_frame()


def after(frame):
    app = AppTest.from_function(converse, default_timeout=60)
    app.session_state["frame"] = frame
    app.run()
    assert not app.exception
    return app.session_state


def test_a_frame_is_answered_and_forgotten():
    session = after({"number": 3, "jpeg": jpeg(), "row": 2, "column": 5, "freeze": False})
    answer = session["live_answer"]
    assert answer["number"] == 3 and answer["grid"] == (16, 16) and answer["heat"]["hue"] == "lambda"
    assert (answer["pin"]["row"], answer["pin"]["column"]) == (2, 5)
    shares = [entry["p"] for entry in answer["top"]]
    assert len(shares) == live.TOP and shares == sorted(shares, reverse=True) and 0.5 < sum(shares) <= 1
    assert max(map(abs, answer["heat"]["data"])) == 127
    assert "pictures" not in session and session["selection"].image == "coffee"
    json.dumps(answer)


def test_gradcam_has_the_unit_of_attributions():
    heat = np.array([[1.0, 3.0], [0.0, 0.0]])
    found = live._heat(heat, live.Wish("gradcam"), "cup")
    assert found["limit"] == 3 and found["title"] == "what speaks for cup, × the mean size"
    assert found["data"] == [42, 127, 0, 0]
    assert live._heat(heat / 2, live.Wish("sum"), "cup")["limit"] == 1.5


def test_a_pixel_that_was_clicked_is_pinned():
    assert after({"number": 1, "jpeg": None, "row": 2, "column": 5})["selection"].pinned
    middle = after({"number": 1, "jpeg": None, "row": 8, "column": 8})["selection"]
    assert not middle.pinned, "a frame without a click leaves it where it is"


def test_a_frozen_frame_is_the_camera_picture_of_every_page():
    session = after({"number": 1, "jpeg": jpeg(512), "row": 0, "column": 0, "freeze": True})
    assert session["selection"].image == "camera"
    assert session["pictures"]["camera"].image.size == (512, 512)


def test_a_frame_says_that_the_camera_is_on():
    """Even where its status was lost: of two messages that wait for a run, Streamlit keeps the later one."""
    assert after({"number": 1, "jpeg": jpeg(), "row": 2, "column": 5, "freeze": False})["live_status"] == "live"
    assert "live_status" not in after({"number": 1, "jpeg": None, "row": 2, "column": 5, "freeze": False})


@pytest.mark.parametrize(
    "frame",
    [
        {}, {"number": "1"}, {"number": 1, "jpeg": "x"}, {"number": 1, "jpeg": 5, "row": "2", "column": None},
        {"number": 1, "jpeg": None, "row": -5, "column": 10**9},
    ],
)  # fmt: skip
def test_a_frame_that_makes_no_sense_breaks_nothing(frame):
    session = after(frame)
    assert session["selection"].image == "coffee"
    if frame.get("jpeg"):
        answer = session["live_answer"]
        assert answer.keys() == {"number", "refused"} and answer["number"] == frame["number"]


def test_the_page_offers_every_map_and_says_where_frames_go():
    app = AppTest.from_file(str(navigation.PAGES.parent / "explorer" / "main.py"), default_timeout=60).run()
    app.switch_page("../pages/live.py").run()
    assert not app.exception
    assert "takes from each position." in " ".join(text.value for text in app.markdown), "a window is not everywhere"
    for overlay in OVERLAYS:
        app.button_group(key="live_overlay").set_value(overlay).run()
        assert not app.exception
        told = " ".join(text.value for text in app.markdown)
        assert ("Click on the picture" in told) == (overlay in PINNED), "elsewhere a click does nothing"
        assert ("speaks for the likeliest class" in told) == (overlay == "gradcam")
    assert "own server and nowhere else" in " ".join(caption.value for caption in app.caption)


def test_a_run_that_changes_nothing_sets_no_widget():
    """A value that the server sets takes back the click that is on its way; frames run the page all the time."""
    app = AppTest.from_file(str(navigation.PAGES.parent / "explorer" / "main.py"), default_timeout=60).run()
    app.switch_page("../pages/live.py").run()
    for key, value in (("live_overlay", "content"), ("live_head", 2)):
        app.button_group(key=key).set_value(value).run()
        app.run()
        assert app.button_group(key=key).value == value
        assert not app.button_group(key=key).proto.set_value, key
    assert app.session_state["selection"].head == 2


def test_a_choice_that_comes_empty_changes_nothing():
    app = AppTest.from_file(str(navigation.PAGES.parent / "explorer" / "main.py"), default_timeout=60).run()
    app.switch_page("../pages/live.py").run()
    app.button_group(key="live_head").set_value(2).run()
    app.button_group(key="live_head").set_value(None).run()
    assert not app.exception
    assert app.session_state["selection"].head == 2


def test_choices_follow_the_selection_and_the_network():
    app = AppTest.from_file(str(navigation.PAGES.parent / "explorer" / "main.py"), default_timeout=60).run()
    app.session_state["live_overlay"] = "a map of another network"
    app.switch_page("../pages/live.py").run()
    assert not app.exception
    assert app.button_group(key="live_overlay").value == list(OVERLAYS)[-1]
    app.session_state["selection"] = replace(app.session_state["selection"], head=3)
    app.run()
    assert app.button_group(key="live_head").value == 3


def test_a_camera_that_is_refused_brings_the_upload():
    app = AppTest.from_file(str(navigation.PAGES.parent / "explorer" / "main.py"), default_timeout=60).run()
    app.session_state["live_status"] = "denied"
    app.switch_page("../pages/live.py").run()
    content = base64.b64decode(jpeg(300))
    app.file_uploader(key="live_upload").upload("mine.jpg", content, "image/jpeg").run()
    assert not app.exception
    assert app.session_state["selection"].image == "upload"


def test_the_component_is_whole_and_local(tmp_path):
    parts = assets()
    (tmp_path / "bundle.mjs").write_text(parts["js"])
    done = subprocess.run([NODE, "--check", tmp_path / "bundle.mjs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "http" not in parts["js"] + parts["css"]
    assert parts["js"].count("getUserMedia(") == 1


METER = """
import { createMeter } from "./meter.js";
const meter = createMeter();
const early = meter.read();
for (let i = 0; i <= 30; i++) meter.answered(1000 + 100 * i, 80 + (i % 3), 20);
const fast = meter.read();
meter.clear();
for (let i = 0; i < 9; i++) meter.answered(1000 * i, 900, 800);
const slow = meter.read(), waits = [meter.patience()];
for (let i = 0; i < 6; i++) waits.push(meter.lost());
meter.answered(20000, 5000, 4900);
console.log(JSON.stringify([early, fast, slow, [...waits, meter.patience()]]));
"""


LIFE = """
import camera from "./main.js";
const parent = { isConnected: true }, run = () => camera({ data: {}, parentElement: parent, setTriggerValue() {} });
const overtaken = run(), early = run();
overtaken();
early(); // the run that will overtake it has not come yet
const last = run();
parent.isConnected = false;
last();
"""
STUB = """export const createCamera = () => {
  console.log("made");
  return { update: () => console.log("updated"), destroy: () => console.log("gone") };
};"""


def test_the_camera_stays_until_it_leaves_the_page(tmp_path):
    """Streamlit cleans up a run that is overtaken, as where a frame follows a click, before or after the next run."""
    (tmp_path / "camera").mkdir()
    shutil.copytree(COMPONENT.parent / "lambda_canvas", tmp_path / "lambda_canvas")
    shutil.copy(COMPONENT / "main.js", tmp_path / "camera")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "camera" / "camera.js").write_text(STUB)
    (tmp_path / "camera" / "try.js").write_text(LIFE)
    done = subprocess.run([NODE, "camera/try.js"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["made", "updated", "updated", "updated", "gone"]


FRAMES = """
import { createCamera } from "./camera.js";
for (const side of [32, 224]) {
  const camera = createCamera({});
  camera.update({ side, wish: "", still: { key: "a", jpeg: "", title: "cup" }, answer: null }, () => {});
  clicks.start();
  for (const before = sides.length; sides.length === before; ) await new Promise((done) => setTimeout(done, 20));
  camera.destroy();
}
console.log(JSON.stringify(sides));
"""
REFUSED = """
import { createCamera } from "./camera.js";
const camera = createCamera({}), said = [], pin = { version: 1, row: 1, column: 2 };
const good = { top: [], grid: [4, 4], pin, ms: 5 };
let data = { side: 32, wish: "", still: { key: "a", jpeg: "", title: "cup" }, answer: { number: 0, ...good } };
const send = (name, { number }) => name === "frame" && (data = { ...data, still: null, number });
const update = () => camera.update(data, send);
update();
clicks.start();
for (const answer of [{ refused: "No." }, good, { refused: "No." }]) {
  const before = sides.length;
  while (sides.length === before) await new Promise((done) => setTimeout(done, 20));
  data.answer = { number: data.number, ...answer };
  update();
  said.push(notice.textContent);
}
camera.destroy();
console.log(JSON.stringify(said));
"""
FACE = """Object.assign(globalThis, {
  clicks: {}, notice: {}, sides: [], getComputedStyle: () => ({ getPropertyValue: () => "#808080" }),
  document: { createElement: () => ({}), addEventListener() {}, removeEventListener() {} },
});
const part = (name) => ({ addEventListener: (type, run) => { if (type === "click") clicks[name] = run; } });
export const createFace = () => ({
  root: { dataset: {}, remove() {} }, showMode() {}, showTop() {}, showLegend() {}, showRate() {}, notice, still: {},
  video: { play: async () => {} },
  unlike: {}, heat: {}, pin: {}, spoken: {}, start: part("start"), freeze: part("freeze"),
  stage: part("stage"),
});"""
STREAM = """export const SENTENCES = {}, closeStream = () => {};
export const openStream = async () => ({ getVideoTracks: () => [{ addEventListener() {} }] });
export const grabFrame = (_video, _canvas, side) => {
  sides.push(side);
  return "jpeg";
};"""


def by_camera(folder, script):
    """What a script prints that works the camera of a page that is made up."""
    for name in ("camera", "lambda_canvas"):
        shutil.copytree(COMPONENT.parent / name, folder / name)
    (folder / "package.json").write_text('{"type": "module"}')
    for file, text in (("face.js", FACE), ("stream.js", STREAM), ("try.js", script)):
        (folder / "camera" / file).write_text(text)
    done = subprocess.run([NODE, "camera/try.js"], cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_a_frame_is_not_as_small_as_the_networks_input(tmp_path):
    """At 32 px, what JPEG loses changed the first class of one frame in twelve."""
    assert by_camera(tmp_path, FRAMES) == [128, 224]


def test_a_refused_frame_is_told_and_the_next_one_goes_out_at_once(tmp_path):
    assert by_camera(tmp_path, REFUSED) == ["No.", "", "No."]


def test_the_frame_rate_is_counted_over_the_last_seconds(tmp_path):
    shutil.copy(COMPONENT / "meter.js", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "try.js").write_text(METER)
    done = subprocess.run([NODE, "try.js"], cwd=tmp_path, capture_output=True, text=True, check=True)
    early, fast, slow, waits = json.loads(done.stdout)
    assert early is None
    assert fast == {"rate": 10, "took": 81, "server": 20}
    assert slow == {"rate": 1, "took": 900, "server": 800}
    assert waits == [4000, 8000, 16000, 32000, 60000, 60000, 60000, 10000], "a slow server is asked less and less often"


def test_hues_of_the_maps_are_of_the_theme():
    assert {hue for _, hue in OVERLAYS.values()} - {""} <= set(theme.PALETTE["light"])


@pytest.mark.parametrize(("built", "shown"), HALVES.items())
def test_only_halves_that_are_there_are_offered(monkeypatch, built, shown):
    monkeypatch.setattr(live.places, "halves", lambda: tuple(built.split()))
    assert live.overlays() == ["none", "gradcam", *shown]
