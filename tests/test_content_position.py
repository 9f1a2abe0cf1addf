"""Content against position: the browser's halves against PyTorch (run by node), the switches, the accuracy."""

import ast
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from explorer import bars, exports, halves, images, plots, switches
from explorer.components.halves_canvas import assets
from explorer.components.lambda_canvas.pack import pack_trace
from lambda_core import build, load_checkpoint, save_checkpoint, trace
from lambda_core.data import prepare
from lambda_core.switching import everywhere, switched
from lambda_core.switching import halves as built_halves
from tests.node import NODE
from tests.test_lambda_canvas import FOLDER, LAYERS, SCRIPTS, SELECTION, traced
from tests.test_pages import said, start

PAGE = "../pages/content_position.py"
HALVES = ("content", "position")
LAST = "stages.3.1.mix"


def with_outputs(name):
    """A random layer of test_lambda_canvas, and its tensors with PyTorch's own output of each half."""
    layer, tensors, settings, position_lambda = traced(name)
    taps = trace(layer, torch.from_numpy(tensors["input"])[None])
    outputs = {f"{half}_output": taps[f"{half}_output"][0].numpy() for half in HALVES if f"{half}_output" in taps}
    return layer, tensors | outputs, settings, position_lambda


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """The modules of both components side by side, as node takes them."""
    folder = tmp_path_factory.mktemp("modules")
    for component in ("lambda_canvas", "halves_canvas"):
        (folder / component).mkdir()
        for file in (FOLDER.parent / component).glob("*.js"):
            shutil.copy(file, folder / component)
    shutil.copy(SCRIPTS.parent / "halves_canvas" / "numbers.js", folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def in_the_browser(name, tensors, settings, modules):
    packed = modules / f"{name}.bin"
    packed.write_bytes(pack_trace(tensors, settings, {"title": name, "jpeg": ""}, SELECTION, "halves"))
    done = subprocess.run([NODE, "numbers.js", packed], cwd=modules, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", LAYERS)
def test_the_browser_agrees_with_pytorch(name, modules):
    layer, tensors, settings, position_lambda = with_outputs(name)
    found = in_the_browser(name, tensors, settings, modules)
    nothing = np.zeros((layer.heads, len(found["pixels"]), layer.dim_v))
    for n, pixel in enumerate(found["pixels"]):
        for half in HALVES:
            expected = tensors.get(f"{half}_output", nothing)[:, n]
            np.testing.assert_allclose(np.reshape(pixel[half]["output"], expected.shape), expected, atol=1e-4)
            if layer.dim_u == 1 and layer.position_bias is None:  # the map alone gives the output
                weights = np.reshape(pixel[half]["weights"], (layer.heads, -1))
                np.testing.assert_allclose(weights @ tensors["v"][..., 0], expected, atol=1e-4)
        if position_lambda is not None:
            np.testing.assert_allclose(pixel["position"]["lambda"], position_lambda[n].flatten(), atol=1e-4)
        np.testing.assert_allclose(
            pixel["output"], np.add(pixel["content"]["output"], pixel["position"]["output"]), atol=1e-5
        )
    assert set(found["content"]) == {0}  # λc is the same at every pixel
    assert found["check"]["done"] and found["check"]["maxDelta"] < 1e-4
    assert found["check"]["count"] == nothing.size * sum(f"{half}_output" in tensors for half in HALVES)
    shares = plots.shares(tensors, settings)
    for half in HALVES:
        np.testing.assert_allclose(found["share"][half], shares[half].ravel(), atol=1e-5)
    assert not found["boxes"] and not found["misses"]
    assert all(scale > 0 for row in found["scales"].values() for scale in row.values())
    for text in [*found["texts"], *found["tips"], *found["legends"]]:
        assert text.strip() and not re.search(r"undefined|NaN|null|\[object|Infinity", text), text


def test_the_check_notices_a_wrong_tensor(modules):
    _, tensors, settings, _ = with_outputs("plain")
    wrong = tensors["position_output"].copy()
    wrong[0, 3, 1] += 0.5
    found = in_the_browser("wrong", tensors | {"position_output": wrong}, settings, modules)
    assert found["check"]["maxDelta"] == pytest.approx(0.5, abs=1e-4)


def test_a_layer_with_one_half_says_so(modules):
    for name, missing in (("content_only", "position half"), ("position_only", "content half")):
        _, tensors, settings, _ = with_outputs(name)
        found = in_the_browser(name, tensors, settings, modules)
        assert any(f"without the {missing}" in text for text in found["texts"])
        assert found["tasks"] in (["halves_drag", "halves_heads"], ["halves_drag"])
        assert any("It is read with" in text for text in found["texts"])
        spoken = next(re.search('aria-label="(y n .*?)"', text)[1] for text in found["texts"] if "y n equals" in text)
        assert f"{missing.split()[0]} lambda" not in spoken and "plus" not in spoken
        assert not any("Both are read" in text or "share of" in text for text in found["texts"])
        assert not any(missing.split()[0] in text for text in found["tips"])
        by_place = any("weighs the photo by place alone" in text for text in found["texts"])
        assert by_place == (name == "position_only")  # a global one sums the photo up, too


def test_the_einsum_lines_name_the_axes_that_the_tensors_have(modules):
    for name, axes in (("plain", ("mk", "nmk")), ("intra_depth", ("mku", "nmku"))):
        _, tensors, settings, _ = with_outputs(name)
        found = in_the_browser(name, tensors, settings, modules)
        lines = next(re.sub("<[^>]*>", "", text) for text in found["texts"] if "einsum" in text)
        assert all(f'einsum("nhk,{of}->nhm"' in lines for of in axes)


def test_numbers_of_a_layer_with_small_weights_are_not_zero(modules):
    _, tensors, settings, _ = with_outputs("plain")
    small = ("v", "content_lambda", "content_output", "position_output", "output")
    found = in_the_browser("small", {n: t * 1e-4 if n in small else t for n, t in tensors.items()}, settings, modules)
    shown = [re.sub("<[^>]*>", " ", text) for text in (found["texts"][0], found["legends"][0], found["legends"][-1])]
    sizes = re.search(r"size of.*?here (.*?) largest", shown[0])[1].split()
    ends = re.findall(r"(−\S+)\s+0\s+(\S+)", shown[1])
    assert len(ends) == 7 and len(sizes) == 2
    for text in [*sizes, *(end for both in ends for end in both), shown[2].split()[-1]]:
        assert re.search("[1-9]", text), text
    assert re.search(r"content −?0\.0+[1-9]|content .*10⁻", found["tips"][2])
    assert bars.sized(0.0046) == "0.0046" and bars.sized(7.70) == "7.7" and bars.sized(0.0) == "0.0"
    assert "0.0046" in bars.size_bars({"content": 0.0046}, 0.0046)


def test_the_component_is_whole_and_local(tmp_path):
    parts = assets()
    assert parts["js"].count("export ") == 1 and not re.search(r"https?://(?!www\.w3\.org)", parts["js"] + parts["css"])
    (tmp_path / "bundle.mjs").write_text(parts["js"])
    done = subprocess.run([NODE, "--check", tmp_path / "bundle.mjs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- the switches


def answer_of(app):
    return next(element.proto.body for element in app.get("html") if "data-testid" in element.proto.body)


def press(app, key):
    app.button(key=key).click().run()
    assert not app.exception


@torch.no_grad()
def test_switches_change_the_answer_as_pytorch_says(monkeypatch):
    monkeypatch.setenv("LAMBDA_DATA", "nothing here")
    app = start(PAGE)
    assert "nothing switched off" in answer_of(app)
    press(app, "preset_Content only")
    model, off = loaded_model(), everywhere(loaded_model(), "position")
    checkpoint = load_checkpoint("lambda_resnet_mini")
    x = prepare(images.gallery_picture("coffee").image, checkpoint.preprocess)

    def answered(off):
        with switched(checkpoint.model, off):
            return checkpoint.model(x)[0].softmax(0)

    shares = answered(off)
    assert f"{checkpoint.classes[shares.argmax()]}</b>".lower() in answer_of(app).lower()
    assert any(f">{bars.percent(float(shares.max()))}<" in html.proto.body for html in app.get("html"))
    assert "position off everywhere" in answer_of(app)
    assert not any(toggle.value for toggle in app.toggle if toggle.key.endswith("_position"))
    press(app, "preset_Both")
    assert all(toggle.value for toggle in app.toggle if toggle.key.startswith("switch_"))
    toggle = next(toggle for toggle in app.toggle if toggle.key.endswith(f"{LAST}_content"))
    toggle.set_value(False).run()
    assert "content off in stage 4, block 2" in answer_of(app)
    same = bool(answered({LAST: ("content",)}).argmax() == answered({}).argmax())
    assert ("Still" in answer_of(app)) == same
    model = loaded_model()
    assert all(
        getattr(model.get_submodule(path), half) for path, names in built_halves(model).items() for half in names
    )
    words = " ".join(text.value for text in app.markdown)
    assert "LAMBDA_DATA" in words and all(re.search(rf"{top1}\s%", words) for top1 in (68.8, 78.1, 78.4))
    app.session_state["tasks_done"] = set()
    for name, without in (("Both", {}), ("Content only", off), ("Neither", built_halves(model))):
        press(app, f"preset_{name}")
        changes = bool(answered(without).argmax() != answered({}).argmax())
        assert ("no longer" in answer_of(app)) == ("halves_switch" in app.session_state["tasks_done"]) == changes
        assert ("Still" in answer_of(app)) == (bool(without) and not changes)


def loaded_model():
    from explorer import loading

    return loading.checkpoint_of(None).model


def test_a_network_with_one_half_works(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMBDA_DATA", str(tmp_path))
    overrides = {"num_classes": 3, "position": False}
    torch.manual_seed(0)
    save_checkpoint(
        tmp_path / "one.safetensors", build("lambda_resnet_mini", **overrides),
        architecture={"name": "lambda_resnet_mini", "overrides": overrides}, classes=("![a](b)", "<b>", "c"),
        preprocess={"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
    )  # fmt: skip
    app = start(PAGE)
    content = (tmp_path / "one.safetensors").read_bytes()
    app.file_uploader(key="network_file").upload("one.safetensors", content, "application/octet-stream").run()
    assert not app.exception and "your network" in said(app)
    assert not any(toggle.key.endswith("_position") for toggle in app.toggle)
    presets = [button.key for button in app.button if button.key and button.key.startswith("preset_")]
    assert presets == ["preset_Content only", "preset_Neither"]
    press(app, "preset_Neither")
    assert "content off everywhere" in answer_of(app)
    assert "<b>" not in answer_of(app).replace("<b>Still", "").replace("<b>&lt;", "").replace("<b>!", "").replace(
        "<b>c", ""
    )


def test_the_form_moves_the_pixel():
    app = start(PAGE, row=3)
    app.slider(key="twin_column").set_value(4)
    app.button(key="FormSubmitter:twins-Show").click().run()
    assert not app.exception and app.query_params["column"] == "4"


def test_switches_as_text():
    first, last = next(iter(built_halves(loaded_model()))), LAST
    off = frozenset({(last, "position"), (first, "content")})
    assert switches.to_text(off) == "1c-4p" and switches.from_text("1c-4p") == off
    assert switches.to_text(frozenset()) == "" and switches.from_text("4p-1c") == off
    for wrong in ("9c", "1x", "", "1c--4p", "<b>"):
        assert switches.from_text(wrong) is None


def test_switches_are_in_the_address():
    app = start(PAGE)
    app.button(key="preset_Content only").click().run()
    assert not app.exception and app.query_params["off"] == "1p-2p-3p-4p"
    app.button(key="preset_Both").click().run()
    assert "off" not in app.query_params


def test_switches_stay_while_another_page_is_open():
    app = start(PAGE)
    press(app, "preset_Content only")
    app.switch_page("../pages/scope.py").run()
    app.query_params.clear()  # the menu's links carry none
    app.switch_page(PAGE).run()
    assert not app.exception and "position off everywhere" in answer_of(app)
    assert app.query_params["off"] == "1p-2p-3p-4p"


def test_switched_words():
    everywhere = frozenset((path, "content") for path in built_halves(loaded_model()))
    assert halves.said(frozenset()) == "whole"
    assert halves.said(everywhere) == "content off everywhere"
    assert halves.said(everywhere - {(LAST, "content")} | {(LAST, "position")}) == (
        "content off in 3 layers, position off in stage 4, block 2"
    )
    assert halves.grouped(frozenset({("a", "position"), ("a", "content")})) == {"a": ["content", "position"]}


def test_bars_escape_and_scale():
    html = bars.answer_bars([("<script>", 0.25, 1.0)], "dark")
    assert "&lt;script&gt;" in html and "width:25.0%" in html and "width:100.0%" in html
    assert bars.percent(0.0312) == "3.1 %" and bars.percent(0.31) == "31 %"
    assert "width:50.0%" in bars.size_bars({"content": 2.0, "position": 4.0}, 4.0)


# ---- exports


def test_the_figure_and_the_program_show_both_halves(capsys):
    checkpoint = load_checkpoint("lambda_resnet_mini")
    picture = images.gallery_picture("cat").image
    layer = checkpoint.model.get_submodule(LAST)
    x = prepare(picture, checkpoint.preprocess)
    taps = {name.removeprefix(f"{LAST}."): t[0] for name, t in trace(checkpoint.model, x).items()}
    tensors = {name: taps[name].numpy() for name in ("q", "v", "keys", "content_lambda", "position_lambda", "input")}
    tensors |= {name: taps[name].numpy() for name in ("content_output", "position_output")}
    tensors["embeddings"] = layer.embeddings.detach().numpy()
    _, height, width = tensors["input"].shape
    info = {
        "height": height, "width": width, "heads": layer.heads, "dim_k": layer.dim_k, "scope": layer.scope,
        "table": list(layer.embeddings.shape[-2:]), "position": True,
    }  # fmt: skip
    figure = plots.step_figure(tensors, info, picture, row=1, column=2, step="halves")
    assert sum("share of y" in axes.get_title(loc="left") for axes in figure.axes) == 2
    assert sum("implied attention" in axes.get_title(loc="left") for axes in figure.axes) == 2
    program = exports.halves_snippet(
        network="lambda_resnet_mini", picture=images.expression("cat"), layer=LAST, width=width, row=1, column=2, head=3
    )
    exec(compile(program, "snippet", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    for line, half in zip(lines, HALVES, strict=False):
        shown = ast.literal_eval(line.removeprefix(half))
        assert shown == pytest.approx(tensors[f"{half}_output"][3, width + 2].tolist(), abs=1e-3)
    with torch.no_grad(), switched(checkpoint.model, everywhere(checkpoint.model, "content")):
        best = int(checkpoint.model(x).argmax())
    assert lines[2].startswith(f"without content [({best},")
