"""The scope page: the browser's arithmetic against PyTorch (run by node), what is measured, and the page as a whole."""

import io
import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from explorer import (
    ablated,
    heat,
    later,
    loading,
    navigation,
    scope_kernels,
    scope_sections,
    scoping,
    theme,
)
from explorer.components.bundle import bundle
from explorer.components.lambda_canvas import pack_trace
from explorer.components.scope_canvas import assets, pack_scope, unpack_scope
from explorer.images import gallery_picture
from explorer.state import Selection
from lambda_core import load_checkpoint
from lambda_core.checkpoints import save_checkpoint
from lambda_core.footprint import implied_weights
from lambda_core.models import build
from lambda_core.surgery import cropped_scope, rim_zeroed
from tests import ablation_results
from tests.node import NODE
from tests.test_lambda_canvas import LAYERS, SELECTION, traced

APP = str(navigation.PAGES.parent / "explorer" / "main.py")
PAGE = "../pages/scope.py"
PATH = "stages.2.0.mix"
COMPONENTS = Path(__file__).parents[1] / "explorer" / "components"
SCRIPTS = Path(__file__).with_name("scope_canvas")


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """Both components side by side where node takes their files as modules, with the script that exercises them."""
    folder = tmp_path_factory.mktemp("modules")
    for name in ("lambda_canvas", "scope_canvas"):
        (folder / name).mkdir()
        for file in (COMPONENTS / name).glob("*.js"):
            shutil.copy(file, folder / name)
    shutil.copy(SCRIPTS / "scope_numbers.js", folder / "scope_canvas")
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.mark.parametrize(
    ("size", "scope", "words"),
    [
        ((19, 19), 23, ["23 × 23 covers the whole map, 19 × 19, from its middle", "from a corner to 12 × 12"]),
        ((16, 16), 11, ["reaches 11 × 11 positions, and no further"]),
        ((16, 16), None, ["This layer is global"]),
        ((4, 8), 9, ["9 × 9 covers the whole map, 4 × 8,", "to 4 × 5"]),
        ((4, 4), 7, ["Its window of 7 × 7 covers the whole map of 4 × 4, wherever the pixel is."]),
        ((4, 4), 23, ["Its window of 23 × 23 covers the whole map of 4 × 4, wherever the pixel is; 7 × 7 would do."]),
        ((4, 8), 15, ["Its window of 15 × 15 covers the whole map of 4 × 8, wherever"]),
    ],
)
def test_the_headline_says_where_the_map_cuts_the_window_off(modules, size, scope, words):
    height, width = size
    largest = 2 * max(size) - 1
    own = min(scope or largest, largest)
    model = {"H": height, "W": width, "hasPosition": True, "layer": {"scope": scope}}
    app = {"model": model, "own": own, "largestR": largest, "state": {"scope": own}}
    script = f'import {{ headlineOf }} from "./words.js"; console.log(headlineOf({json.dumps(app)}))'
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", script], cwd=modules / "scope_canvas", capture_output=True, text=True
    )
    said = re.sub("<[^>]*>", "", done.stdout)
    assert all(part in said for part in words), said + done.stderr


@pytest.mark.parametrize(
    ("part", "content", "end"),
    [
        ("position", True, "change what this pixel takes through its window; through the content half it still can."),
        ("position", False, "change this pixel."),
        ("both", True, "change this pixel."),
    ],
)
def test_what_a_zero_derivative_means_depends_on_what_was_differentiated(modules, part, content, end):
    model = {"hasPosition": True, "hasContent": content}
    app = {"model": model, "own": 3, "largestR": 7, "state": {"part": part}}
    script = f'import {{ paragraphs }} from "./words.js"; console.log(paragraphs({json.dumps(app)}))'
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", script], cwd=modules / "scope_canvas", capture_output=True, text=True
    )
    assert re.sub("<[^>]*>", "", done.stdout).strip().endswith(end), done.stdout + done.stderr


def packed_layer(name):
    layer, tensors, settings, _ = traced(name)
    own, _ = scoping.scopes(settings)
    facts = {"row": 1, "column": 2, "head": 0, "scope": own, "part": "both", "answers": None}
    measured = {"layer": np.arange(12, dtype=np.float32).reshape(3, 4)}
    return layer, tensors, settings, pack_scope(
        pack_trace(tensors, settings, {"title": name, "jpeg": ""}, SELECTION), measured, facts
    )  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_browser_agrees_with_pytorch(name, modules):
    layer, tensors, settings, packed = packed_layer(name)
    file = modules / f"{name}.bin"
    file.write_bytes(packed)
    done = subprocess.run(
        [NODE, "scope_numbers.js", file], cwd=modules / "scope_canvas", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["wrong"], "\n".join(found["wrong"][:10])
    assert (found["own"], found["largestR"]) == scoping.scopes(settings)
    assert found["measured"]["layer"] == list(range(12))
    for text in found["texts"]:
        assert not re.search(r"undefined|NaN|null|\[object|Infinity|<b>bold", text), text

    x = torch.from_numpy(tensors["input"])[None]
    height, width = x.shape[2:]
    layer.pool = torch.nn.Identity()  # y before pooling
    with torch.no_grad():
        whole = layer(x)[0].flatten(1).T  # (n, h v)
    for r, weights in found["weights"].items():
        with cropped_scope(layer, int(r)):
            y = layer(x)[0].flatten(1).T.detach()
            for n in (0, (height * width) // 2, height * width - 1):
                expected = implied_weights(layer, x, n).flatten()
                np.testing.assert_allclose(weights[n], expected, atol=1e-4)
        ring = min(int(r), max(found["own"], 1)) // 2
        outputs = np.array(found["outputs"]).reshape(height * width, -1, layer.dim_out)[:, ring]
        np.testing.assert_allclose(outputs, y, atol=1e-4)
        change = (y - whole).norm(dim=1) / whole.norm(dim=1)
        np.testing.assert_allclose(np.array(found["changes"])[:, ring], change, atol=1e-4)
    seen = (1.0 + np.arange(4 * height * width) % 7).reshape(2 * height, 2 * width) ** 2
    for n, r, share, positions, span in found["shares"]:
        inside = seen[2 * span["top"] : 2 * span["bottom"] + 2, 2 * span["left"] : 2 * span["right"] + 2]
        assert share == pytest.approx(inside.sum() / seen.sum(), abs=1e-6)
        window = rim_zeroed(torch.ones(2 * height - 1, 2 * width - 1), r)
        row, column = n // width, n % width
        corner = window[height - 1 - row : 2 * height - 1 - row, width - 1 - column : 2 * width - 1 - column]
        assert positions == int(corner.sum())


def test_pack_round_trip():
    _, tensors, settings, _ = traced("plain")
    trace = pack_trace(tensors, settings, {"title": "Übung", "jpeg": "abc"}, SELECTION)
    measured = {"weights": np.ones((2, 3, 3), np.float32), "image": np.zeros((5, 6), np.float32)}
    facts, back, found = unpack_scope(pack_scope(trace + b"!", measured, {"scope": 3}))
    assert facts == {"scope": 3} and back == trace + b"!"
    assert found.keys() == measured.keys()
    for name, tensor in measured.items():
        np.testing.assert_array_equal(found[name], tensor)
    with pytest.raises(ValueError, match="surprise"):
        pack_scope(trace, {"surprise": np.zeros(3)}, {})
    with pytest.raises(ValueError, match="weights"):
        pack_scope(trace, {"weights": np.zeros(3)}, {})


def test_assets_are_whole_and_local(tmp_path):
    parts = assets()
    assert parts["js"].count("export ") == 1 and "export default function" in parts["js"]
    assert not re.search(r"https?://(?!www\.w3\.org)", parts["js"] + parts["css"])
    used = set(re.findall(r"var\(--([\w-]+)[,)]", parts["css"])) - {"mark", "at"}
    assert used <= set(theme.PALETTE["light"])
    (tmp_path / "bundle.mjs").write_text(bundle(COMPONENTS / "scope_canvas"))
    done = subprocess.run([NODE, "--check", tmp_path / "bundle.mjs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("table", "side", "position", "expected"),
    [([11, 11], (16, 16), True, (11, 31)), ([31, 31], (8, 8), True, (15, 15)), ([0, 0], (8, 6), False, (0, 15))],
)
def test_scopes_of_a_layer(table, side, position, expected):
    layer = {"table": table, "height": side[0], "width": side[1], "position": position}
    assert scoping.scopes(layer) == expected


def test_answers_hold_the_likeliest_of_every_column():
    before, here, all_cropped = np.eye(5)[0] * 0.5 + 0.1, np.eye(5)[4] * 0.5 + 0.1, np.eye(5)[0] * 0.5 + 0.1
    rows = scoping._answers(("a", "b"), before, here, all_cropped)
    assert rows[0] == ("a", before[0], here[0], all_cropped[0])
    assert ("class 4", before[4], here[4], all_cropped[4]) in rows
    assert len({row[0] for row in rows}) == len(rows) <= scoping.SHOWN + 2


def test_widths_of_a_field():
    field = np.zeros((10, 10))
    assert scope_sections.widths(field) == 0
    field[3, 4] = 1.0
    assert scope_sections.widths(field) == 0.01
    assert scope_sections.widths(np.ones((10, 10))) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("content", "table", "expected"),
    [
        (True, 7, "whole picture"),
        (False, 7, "7 × 7 positions"),
        (False, 31, "whole picture"),
        (False, 45, "whole pict"),
    ],
)
def test_what_the_first_lambda_layer_opens_is_what_it_can_reach(content, table, expected):
    layer = {"content": content, "position": True, "table": [table, table], "height": 16, "width": 16}
    assert expected in scope_sections.opens(layer)


def test_a_slow_figure_is_made_once_and_an_error_is_forgotten():
    ends, runs, drawn = iter([lambda: 1 / 0, lambda: "made"]), [], []

    def work():
        runs.append(1)
        return next(ends)()

    def show():
        later.show("a test of later", work, drawn.append, "Making it …")

    assert isinstance(later._begun("a test of later", work).exception(30), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        show()
    second = later._begun("a test of later", work)
    assert second.result(30) == "made"
    show()
    assert later._begun("a test of later", work) is second and runs == [1, 1] and drawn == ["made"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_heat_lies_on_the_photo_where_it_is(scheme):
    import base64

    field = np.zeros((8, 8))
    field[2, 5] = 1.0
    photo = Image.new("RGB", (64, 64), (128, 128, 128))
    png = base64.b64decode(heat.on_photo(photo, field, "output", side=64, scheme=scheme))
    drawn = np.asarray(Image.open(io.BytesIO(png)), float)
    coloured = drawn.max(2) - drawn.min(2)
    assert np.unravel_index(coloured.argmax(), coloured.shape)[0] // 8 == 2
    assert coloured[20, 44] > 60 and coloured[50, 10] == 0


def test_the_papers_scopes_are_recomputed():
    rows = scope_sections.table()
    assert [row["r"] for row in rows] == ["3", "7", "15", "23", "31", "global"]
    for row, flops in zip(rows, (5.669, 6.086, 7.771, 9.967, 12.378, 19.363), strict=True):
        assert row["ours_b"] == pytest.approx(flops, abs=5e-4)
        assert row["verdict"] == "match" and abs(row["flops_b"] - row["ours_b"]) <= 0.05 + 1e-9
        assert 77 < row["top1"] < 79 and row["params_m"] > 14
    chart = scope_sections._chart(rows, "dark", "flops_b", "FLOPs", ours="ours_b")
    assert len(chart.data) == 2 and list(chart.data[0].y) == [row["ours_b"] for row in rows]


def costs():
    from explorer import scope_sections

    scope_sections.cost()


def test_what_the_charts_of_cost_count_is_said():
    app = AppTest.from_function(costs, default_timeout=240).run()
    assert not app.exception
    said = " ".join(text.value for text in app.markdown)
    for words in ("**FLOPs** are the multi", "**Top-1** is how often", "a map of H × H", "ImageNet, photographs"):
        assert words in said


def start(**query):
    app = AppTest.from_file(APP, default_timeout=240)
    for name, value in query.items():
        app.query_params[name] = str(value)
    app.run()
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def captions(app):
    return " ".join(caption.value for caption in app.caption)


def test_kernels_are_not_read_while_another_session_has_them_cropped():
    model = scope_kernels.loading.checkpoint().model
    scope_kernels._sheets.clear()
    with ThreadPoolExecutor(1) as pool:
        with scope_kernels.loading.LOCK, cropped_scope(model, 3):
            found = pool.submit(scope_kernels._sheets, "lambda_resnet_mini", "light")
            with pytest.raises(TimeoutError):
                found.result(0.5)
        assert all(sheet.near < 0.9 for sheet in found.result(30))


def test_accuracy_by_scope_is_ours_beside_the_papers(tmp_path, monkeypatch):
    ablation_results.make(tmp_path, monkeypatch, {"micro_ccll": (80.0,), "micro_scope3": (77.0, 78.0)})
    rows = {row["r"]: row["measured"] for row in scope_sections.table()}
    assert rows == {"3": 77.5, "7": None, "15": None, "23": 80.0, "31": None, "global": 80.0}
    ours, paper = scope_sections._chart(scope_sections.table(), "light", "top1", "Top-1, %", ours="measured").data
    assert list(ours.y) == list(rows.values()) and None not in paper.y
    assert "scope 7 × 7; lambda, scope 15 × 15" in ablated.missing(scope_sections.BY_SCOPE)


def test_the_form_crops_and_the_numbers_are_those_of_pytorch():
    app = start(row=5, column=6)
    assert "121 of 256 positions" not in captions(app)  # the window is cut off by the rim of the map
    app.select_slider(key="scope_twin_scope").set_value(5)
    app.button(key="FormSubmitter:scope_twins-Show").click().run()
    assert not app.exception
    assert app.session_state["selection"].scope == 5 and app.query_params["scope"] == "5"
    assert "covers 25 of 256 positions" in captions(app)

    checkpoint = load_checkpoint("lambda_resnet_mini")
    from lambda_core.data import prepare

    x = prepare(gallery_picture("coffee").image, checkpoint.preprocess)
    path = "stages.2.0.mix"
    with torch.no_grad():
        before = checkpoint.model(x)
        with cropped_scope(checkpoint.model.get_submodule(path), 5):
            answer = checkpoint.model(x)
    best = int(before.argmax())
    for logits in (before, answer):
        assert f"{100 * float(logits[0].softmax(0)[best]):.1f} %" in captions(app)
    app.select_slider(key="scope_twin_scope").set_value(11)
    app.button(key="FormSubmitter:scope_twins-Show").click().run()
    assert app.session_state["selection"].scope == 0 and "scope" not in app.query_params


@pytest.mark.parametrize(("asked", "found"), [(4, 3), (1, 3), (99, 31)])
def test_a_scope_that_cannot_be_drawn_is_explained(asked, found):
    app = start(scope=asked)
    assert app.session_state["selection"].scope == found
    for _ in range(2):  # a second run, as when a figure joins, takes the sentence from nobody
        assert f"scope of {asked}" in " ".join(info.value for info in app.info)
        app.run()
    app.button(key="pick_cat").click().run()
    assert not app.info
    app.switch_page("../pages/content_position.py").run()
    assert not app.info


@pytest.mark.parametrize(
    "options", [{"scope": None, "layer": {"3": {"size": (16, 16)}, "4": {"size": (16, 16)}}}, {"position": False}]
)
def test_networks_that_are_global_or_have_no_position_part(options, tmp_path):
    torch.manual_seed(0)
    network = build("lambda_resnet_mini", num_classes=3, **options)
    overrides = {"num_classes": 3, **options}
    file = tmp_path / "mine.safetensors"
    architecture = {"name": "lambda_resnet_mini", "overrides": overrides}
    preprocess = {"size": 128, "mean": [0.5] * 3, "std": [0.5] * 3}
    save_checkpoint(file, network, architecture=architecture, classes=["a", "<b>", "c"], preprocess=preprocess)
    app = start()
    app.file_uploader(key="network_file").upload(
        "mine.safetensors", file.read_bytes(), "application/octet-stream"
    ).run()
    assert not app.exception
    assert "Every page now shows your network" in " ".join(info.value for info in app.info)
    assert "256 of 256 positions" in captions(app)


def test_a_sheet_of_kernels_opens_its_layer():
    app = start(cell="lambda", step=6)
    app.button(key="kernels_stages.3.1.mix").click().run()
    assert not app.exception and not app.session_state["selection"].cell, "a cell that is open is of one layer"
    assert app.session_state["selection"].layer == "stages.3.1.mix" and app.query_params["layer"] == "stages.3.1.mix"
    assert app.button(key="kernels_stages.3.1.mix").disabled


def test_places_of_a_network_are_few_and_in_order():
    model = load_checkpoint("lambda_resnet_mini").model
    chosen = scope_sections.places(model)
    assert [place.path for place in chosen][:3] == ["stem", "stages.0", "stages.1"]
    assert [place.path for place in chosen][3:] == [info.path for info in loading.lambda_layers(model)]
    with torch.device("meta"):
        deep = build("lambda_resnet50", num_classes=2)
    assert len(scope_sections.places(deep)) == scope_sections.MOST


def test_the_selection_keeps_the_scope_in_the_link():
    from explorer import state

    assert state.to_query(Selection(scope=7)) == {"scope": "7"}
    assert state.from_query({"scope": "7"}) == (Selection(scope=7), [])
