"""The lambda_canvas component: packing, bundling, and the browser's arithmetic against PyTorch (run by node)."""

import re
import shutil
import subprocess
import unicodedata
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer import theme
from explorer.components.bundle import BundleError, bundle
from explorer.components.lambda_canvas import assets
from explorer.components.lambda_canvas.pack import pack_trace, unpack_trace
from explorer.loading import LayerInfo, describe
from lambda_core.layers.lambda_layer import LambdaLayer
from lambda_core.positions import gather
from lambda_core.tracing import trace
from tests.node import COMPONENTS, NODE, told

FOLDER = COMPONENTS / "lambda_canvas"
SELECTION = {
    "row": 1, "column": 2, "head": 0, "key": 1, "value": 0, "step": 0, "cell": None, "pinned": False, "version": 1,
}  # fmt: skip
SCRIPTS = Path(__file__).with_name("lambda_canvas")

LAYERS = {
    "plain": ((8, 8), {"dim_k": 4, "heads": 2, "scope": 3}),
    "odd": ((5, 7), {"dim_k": 5, "heads": 3, "scope": 5}),
    "wide_scope": ((6, 5), {"dim_k": 4, "heads": 2, "scope": 23}),
    "intra_depth": ((5, 6), {"dim_k": 3, "heads": 2, "dim_u": 2, "scope": 3}),
    "global": ((6, 4), {"dim_k": 4, "heads": 2, "scope": None}),
    "strided": ((5, 7), {"dim_k": 4, "heads": 2, "scope": 3, "stride": 2}),
    "overlapping": ((5, 7), {"dim_k": 4, "heads": 2, "scope": 3, "stride": 2, "pool_size": 3}),
    "content_only": ((5, 5), {"dim_k": 4, "heads": 2, "position": False}),
    "position_only": ((5, 5), {"dim_k": 4, "heads": 1, "scope": 3, "content": False, "norm_qv": False}),
    "softmax_both": ((5, 5), {"dim_k": 4, "heads": 2, "scope": 3, "key_norm": "softmax_keys_queries"}),
    "l2": ((5, 5), {"dim_k": 4, "heads": 2, "scope": 3, "key_norm": "l2"}),
    "none": ((4, 6), {"dim_k": 4, "heads": 2, "scope": 3, "key_norm": "none"}),
    "bias": ((5, 6), {"dim_k": 4, "heads": 2, "dim_u": 2, "scope": 3, "position_bias": True}),
}


def traced(name: str) -> tuple[LambdaLayer, dict[str, np.ndarray], dict, torch.Tensor | None]:
    """A random layer, its tensors for the browser, its settings, and PyTorch's own position lambdas (n, k, v)."""
    size, options = LAYERS[name]
    torch.manual_seed(sum(map(ord, name)))
    layer = LambdaLayer(6, 6, **options, size=size if options.get("scope", 1) is None else None).eval()
    if layer.embeddings is not None:
        torch.nn.init.normal_(layer.embeddings, std=0.5)
    if layer.position_bias is not None:
        torch.nn.init.normal_(layer.position_bias)
    found = {key: value[0] for key, value in trace(layer, torch.randn(1, 6, *size)).items()}
    names = ("input", "q", "k", "keys", "v", "content_lambda", "output")
    tensors = {key: found[key].numpy() for key in names if key in found}
    if layer.embeddings is not None:
        tensors["embeddings"] = layer.embeddings.detach().numpy()
    if layer.position_bias is not None:
        tensors["position_bias"] = layer.position_bias.detach().numpy()
    settings = describe(layer, LayerInfo(name, name), tensors)
    return layer, tensors, settings, found.get("position_lambda")


def test_pack_round_trip():
    _, tensors, settings, _ = traced("bias")
    packed = pack_trace(tensors, settings, {"title": "Übung", "jpeg": "abc"}, SELECTION, "overview")
    header, back = unpack_trace(packed)
    assert header["layer"] == settings and header["selection"] == SELECTION and header["mode"] == "overview"
    assert header["photo"]["title"] == "Übung"
    assert back.keys() == tensors.keys()
    for name in tensors:
        np.testing.assert_array_equal(back[name], tensors[name])
    assert (4 + int.from_bytes(packed[:4], "little")) % 4 == 0


def test_trace_hash_follows_tensors_only():
    _, tensors, settings, _ = traced("plain")
    photo = {"title": "a", "jpeg": ""}
    one = unpack_trace(pack_trace(tensors, settings, photo, SELECTION))[0]["trace"]
    assert unpack_trace(pack_trace(tensors, settings, photo, {**SELECTION, "row": 3}))[0]["trace"] == one
    other = {**tensors, "v": tensors["v"] + 1}
    assert unpack_trace(pack_trace(other, settings, photo, SELECTION))[0]["trace"] != one


@pytest.mark.parametrize("change", [{"v": None}, {"q": np.zeros((2, 2))}, {"surprise": np.zeros(3)}])
def test_pack_refuses(change):
    _, tensors, settings, _ = traced("plain")
    tensors = {name: tensor for name, tensor in {**tensors, **change}.items() if tensor is not None}
    with pytest.raises(ValueError, match=next(iter(change))):
        pack_trace(tensors, settings, {"title": "", "jpeg": ""}, SELECTION)


def test_bundle_joins_in_order(tmp_path):
    (tmp_path / "a.js").write_text('import { two } from "./b.js";\nexport default function go() { return two; }\n')
    (tmp_path / "b.js").write_text("export const one = 1, two = one + 1;\n")
    text = bundle(tmp_path, "a.js")
    assert text.index("const one") < text.index("export default function go")
    assert "import" not in text and text.count("export") == 1


def test_bundle_takes_modules_of_the_component_beside_it(tmp_path):
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir(), other.mkdir()
    (other / "colour.js").write_text('import { base } from "./base.js";\nexport const red = base + 1;\n')
    (other / "base.js").write_text("export const base = 1;\n")
    (mine / "main.js").write_text(
        'import { red } from "../other/colour.js";\nimport { base } from "../other/base.js";\n'
        "export default red + base;\n"
    )
    text = bundle(mine)
    assert text.index("const base") < text.index("const red") < text.index("export default")
    assert text.count("const base") == 1 and "import" not in text


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"main.js": 'import { a } from "./a.js";\nconst b = 1;\n', "a.js": "export const a = 1, b = 2;\n"},
            "`b`.*a.js and main.js",
        ),
        ({"main.js": 'import { a as c } from "./a.js";\n', "a.js": "export const a = 1;\n"}, "plain names"),
        ({"main.js": 'import { a } from "./gone.js";\n'}, "no module gone.js"),
        ({"main.js": 'import { a } from "./a.js";\n', "a.js": 'import { b } from "./main.js";\n'}, "circular"),
        ({"main.js": 'import { a } from "https://cdn/x.js";\n'}, "only named relative"),
        ({"main.js": 'import { a } from "./a.js";\n', "a.js": "export default 1;\n"}, "default export"),
    ],
)  # fmt: skip
def test_bundle_errors(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BundleError, match=message):
        bundle(tmp_path)


def test_assets_are_whole_and_local():
    parts = assets()
    assert parts["js"].count("export ") == 1 and "export default function" in parts["js"]
    assert not re.search(r"https?://(?!www\.w3\.org)", parts["js"] + parts["css"])
    assert set(theme.PALETTE["light"]) == set(theme.PALETTE["dark"])
    used = set(re.findall(r"var\(--([\w-]+)\)", parts["css"])) - {"mark"}
    assert used <= set(theme.PALETTE["light"])
    assert max(len(file.read_text().splitlines()) for file in FOLDER.iterdir() if file.is_file()) < 400


@pytest.mark.parametrize("scheme", theme.PALETTE)
def test_a_step_that_the_layer_has_not_can_still_be_read(scheme):
    rule = re.search(r"\.steps \.missing \{([^}]*)\}", assets()["css"])[1]
    ink = theme.PALETTE[scheme][re.fullmatch(r" color: var\(--([\w-]+)\); ", rule)[1]]
    for under in ("page", "rail"):
        light, dark = sorted(map(luminance, (ink, theme.PALETTE[scheme][under])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour):
    """As WCAG has it, of "#RRGGBB"."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize(
    "file", sorted(FOLDER.parent.glob("*/*.js")), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_what_a_module_imports_is_there_and_is_used(file):
    """The bundle joins texts, so a name that its module no longer has is missed only on the page."""
    imports = re.compile(r'^import \{([^}]*)\} from "([^"]*)";', re.MULTILINE)
    text = file.read_text(encoding="utf-8")
    for names, wanted in imports.findall(text):
        source = (file.parent / wanted).read_text(encoding="utf-8")
        for name in names.replace(",", " ").split():
            exported = rf"^export (?:const|let|(?:async )?function\*?|class)\b[^\n]*\b{name}\b"
            assert re.search(exported, source, re.MULTILINE), f"{wanted} has no {name}"
            assert re.search(rf"\b{name}\b", imports.sub("", text)), f"{name} is not used"


def test_bundle_parses(tmp_path):
    (tmp_path / "bundle.mjs").write_text(assets()["js"])
    done = subprocess.run([NODE, "--check", tmp_path / "bundle.mjs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """The component's modules where node takes them as ES modules, with the script that exercises them."""
    folder = tmp_path_factory.mktemp("modules")
    for file in FOLDER.glob("*.js"):
        shutil.copy(file, folder)
    for file in SCRIPTS.glob("*.js"):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def by_node(modules, name, tensors, settings):
    """What the component makes of a layer, told by numbers.js."""
    packed = modules / f"{name}.bin"
    packed.write_bytes(pack_trace(tensors, settings, {"title": name, "jpeg": ""}, SELECTION))
    return told("numbers.js", packed, folder=modules)


@pytest.mark.parametrize("name", LAYERS)
def test_browser_agrees_with_pytorch(name, modules):
    layer, tensors, settings, position_lambda = traced(name)
    found = by_node(modules, name, tensors, settings)
    shape = (layer.dim_k, layer.dim_v)
    own = np.zeros(shape) if position_lambda is None else position_lambda.numpy()
    content = tensors.get("content_lambda", np.zeros(shape))
    query = torch.from_numpy(tensors["q"])
    for n, pixel in enumerate(found["pixels"]):
        expected = own if own.ndim == 2 else own[n]
        np.testing.assert_allclose(np.reshape(pixel["position"], shape), expected, atol=1e-4)
        np.testing.assert_allclose(np.reshape(pixel["lambda"], shape), content + expected, atol=1e-4)
        y = query[:, n] @ torch.from_numpy(content + expected).float()
        np.testing.assert_allclose(np.reshape(pixel["y"], y.shape), y, atol=1e-4)
        if layer.dim_u == 1 and layer.position_bias is None:
            weights = torch.tensor(pixel["sum"]).view(layer.heads, -1)
            np.testing.assert_allclose(weights @ torch.from_numpy(tensors["v"])[..., 0], y, atol=1e-4)
    for total, shown in found["cells"]:
        assert total == pytest.approx(shown, abs=1e-4)
    assert found["check"]["maxDelta"] < 1e-4 and found["check"]["count"] == tensors["output"].size
    assert "disagrees" not in found["check_text"]
    for text in found["texts"]:
        assert text.strip() and not re.search(r"undefined|NaN|null|\[object|Infinity", text), text
        assert "token" not in text
    assert not found["boxes"], "\n".join(found["boxes"])


@pytest.mark.parametrize("name", LAYERS)
def test_the_code_of_the_last_step_computes_the_output(name, modules):
    """Also with an intra-depth, which the weights keep as the values do, and with a position bias."""
    layer, tensors, settings, position_lambda = traced(name)
    step = by_node(modules, name, tensors, settings)["attention"]
    size, u = (settings["height"], settings["width"]), layer.dim_u
    stored = {"Q": tensors["q"].swapaxes(0, 1), "V": tensors["v"], "b": tensors.get("position_bias")}
    if layer.content:
        stored["K̄"] = tensors["keys"]
    if layer.position:
        stored["E"] = gather(layer.embeddings.detach(), size).permute(2, 3, 0, 1).numpy()
    if u == 1:  # then the code has no such axis
        stored |= {letter: stored[letter][..., 0] for letter in {"V", "K̄", "E"} & stored.keys()}
    names = {unicodedata.normalize("NFKC", letter): value for letter, value in stored.items()}
    exec(re.sub("<[^>]+>", "", "\n".join(step["einsum"])), {"einsum": np.einsum}, names)
    own = 0 if position_lambda is None else position_lambda.numpy()
    lambdas = tensors.get("content_lambda", 0) + own
    expected = tensors["q"].swapaxes(0, 1) @ lambdas
    np.testing.assert_allclose(names["y"], expected, atol=1e-4)
    assert [len(shape) for _, shape, _ in step["shapes"]] == [2 + (u > 1), 2 + (u > 1), 2]
    assert ("learned number" in step["text"]) == (layer.position_bias is not None)


def test_what_the_steps_say_holds_for_layers_of_every_kind(modules):
    """With an intra-depth, maps are drawn summed over it; without a position half there is one lambda for all."""
    said = {}
    for name in ("plain", "intra_depth", "content_only"):
        _, tensors, settings, _ = traced(name)
        said[name] = re.sub("<[^>]+>", "", " ".join(by_node(modules, name, tensors, settings)["texts"]))
    for words in ("over the whole photo, in each of its 2 layers.", "so 2 for each map", "# for every key and u"):
        assert words in said["intra_depth"] and words not in said["plain"]
    assert "over the whole photo." in said["plain"] and "1 in all for each map" in said["plain"]
    assert re.search(r"or [\d.]+ million numbers of lambda\.", said["plain"])
    one = LAYERS["content_only"][1]["dim_k"] * 3  # 6 channels over 2 heads
    assert f"or the {one} numbers of the one lambda that all pixels share." in said["content_only"]
    assert "shorter" not in " ".join(said.values())  # the query alone may be as long as the input, or longer


def test_only_products_inside_the_window_are_numbered(modules):
    """Also where they all are zero: a corner has four, an edge six."""
    _, tensors, settings, _ = traced("position_only")
    tensors["v"] = np.zeros_like(tensors["v"])
    found = by_node(modules, "zeros", tensors, settings)
    assert not found["boxes"], "\n".join(found["boxes"])
    said = [words[1] for text in found["texts"] if (words := re.search(r"<p>([^<>]*) numbered, on the photo", text))]
    kinds = 4  # of cells at each pixel: the content lambda is not in this layer
    by_pixel = [set(said[i : i + kinds]) - {"No product is"} for i in range(0, len(said), kinds)]
    corner, edge, within = {"All four products are"}, {"All six products are"}, {"The six largest products are"}
    rim = [corner, edge, edge, edge, corner]
    assert by_pixel == rim + 3 * [edge, within, within, within, edge] + rim


OPENED = """
import { activeCell, isOpenable } from "./view.js";
import { applySelection, fitState, newState } from "./selection.js";
const found = {};
for (const [half, kind] of [["hasContent", "content_lambda"], ["hasPosition", "position_lambda"]]) {
  for (const there of [true, false]) {
    const model = { H: 4, W: 4, K: 2, V: 3, heads: 1, hasContent: true, hasPosition: true, [half]: there };
    const hover = { kind, row: 0, col: 1 }, state = { ...newState(), step: 6, hover }, linked = newState();
    applySelection(model, linked, { step: 6, cell: kind });
    const moved = { ...newState(), step: 6, cell: { kind, row: 0, value: 1 } }; // it was open in the layer before
    fitState(model, moved);
    const open = [activeCell(model, state), isOpenable(model, state, hover), linked.cell, moved.cell].map(Boolean);
    found[`${kind} ${there}`] = [...open, isOpenable(model, state, { kind: "lambda" })];
  }
}
console.log(JSON.stringify(found));
"""


def test_the_table_of_a_half_that_is_not_there_does_not_open(modules):
    found = told("--input-type=module", "-e", OPENED, folder=modules)
    for name, opened in found.items():
        assert opened == [name.endswith("true")] * 4 + [True], name


WALK = """
import { layoutView, measure } from "./layout.js";
import { nextHit } from "./pointing.js";
const layer = { scope: 3 }, sizes = { H: 4, W: 4, N: 16, K: 3, V: 6, U: 1, heads: 2, channels: 12, outputs: 12 };
const model = { ...sizes, layer, rows: 3, cols: 3, hasContent: true, hasPosition: true, windowed: true, softmax: true };
const cell = { kind: "lambda", row: 0, value: 0 }, ways = [[0, 1], [1, 0], [0, -1], [-1, 0]], found = [];
for (const width of [368, 1160]) for (const view of [0, 1, 2, 3, 4, 5, 6, 7, 8, "cell"]) {
  const layout = layoutView(measure(width, model, 480), model, view, cell), seen = new Map();
  const name = (hit) => [hit.id, hit.row, hit.col].join(), left = [nextHit(layout, model, null, 0, 1)];
  for (let hit; (hit = left.pop()); ) {
    if (seen.has(name(hit))) continue;
    seen.set(name(hit), hit);
    left.push(...ways.map((way) => nextHit(layout, model, hit, ...way)).filter(Boolean));
  }
  const hits = [...seen.values()], parts = new Set(["photo", ...hits.map((hit) => hit.id)]);
  const missed = [...layout.nodes.keys()].filter((id) => !parts.has(id));
  found.push([width, view, missed, hits.filter((hit) => hit.id === "cellProducts").length]);
}
console.log(JSON.stringify(found));
"""


def test_keys_reach_every_part_that_a_pointer_does(modules):
    found = told("--input-type=module", "-e", WALK, folder=modules)
    for width, view, missed, positions in found:
        assert not missed, f"step {view} at {width} px"
        assert positions == (16 if view == "cell" else 0), "every position of the cell that is open"


THEMES = """
import { followTheme } from "./dark.js";
const root = { dataset: {} }, seen = [];
let page = "#ffffff", tick = null;
Object.assign(globalThis, {
  getComputedStyle: () => ({ getPropertyValue: () => page }), setInterval: (run) => (tick = run),
  clearInterval: () => (tick = null),
});
const stop = followTheme(root, () => seen.push(root.dataset.theme));
tick();
for (page of ["#111419", "#222", "rgb(250, 250, 250)"]) tick();
stop();
console.log(JSON.stringify([seen, tick]));
"""


def test_the_theme_of_the_page_is_followed_until_the_end(modules):
    found = told("--input-type=module", "-e", THEMES, folder=modules)
    assert found == [["light", "dark", "light"], None]


def test_every_layout_fits(modules):
    """No part leaves the stage or covers the photo, for small and large layers at every width."""
    count, first = told("layouts.js", folder=modules)
    assert count == 0, f"{count} misplaced:\n" + "\n".join(first)


def test_what_a_moving_pixel_changes(modules):
    """Of a layer without position part, all pixels share one lambda."""
    _, tensors, settings, _ = traced("content_only")
    texts = by_node(modules, "content_only", tensors, settings)["texts"]
    said = [re.search("see the sum (.*?)[.]<", text)[1] for text in texts if "see the sum" in text]
    assert said[:4] == ["stay as it is", "change", "stay as it is", "change"]  # λc, λp, λ, y


def test_the_averages_are_compared_by_the_check_above(modules):
    _, tensors, settings, _ = traced("strided")
    assert any("the check above" in text for text in by_node(modules, "strided", tensors, settings)["texts"])


@pytest.mark.parametrize("name", ["plain", "bias"])
def test_arithmetic_ends_in_the_number_shown(name, modules):
    """To the last digit: what the other terms are is said so that the numbers printed add up."""
    _, tensors, settings, _ = traced(name)
    found = by_node(modules, name, tensors, settings)
    assert not re.search(r"[+−]0\.000(?!\d)", "".join(found["texts"])), "a zero has no sign"
    sums = [text for text in found["texts"] if 'data-testid="arithmetic"' in text]
    assert len(sums) == len(found["cells"])
    for text, (_, shown) in zip(sums, found["cells"], strict=True):
        line = re.sub("<[^>]+>", "", re.search(r'data-testid="arithmetic">(.*?)</p>', text)[1]).replace("−", "-")
        left, equal, right = re.split("([=≈])", line)
        assert float(right) == pytest.approx(shown, abs=5.1e-4)
        added = sum(map(Decimal, re.findall(r"[+-]?\d+\.\d+", left.replace(" ", ""))))
        assert (added == Decimal(right.strip())) == (equal == "=")
        assert equal == "=" or not re.search("other (terms|positions|rows)", text), "others make up for what is rounded"
