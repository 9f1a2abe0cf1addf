"""Exports: the NPZ holds the tensors, the figures are files, and the snippet prints what the layer computes."""

import ast
import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from explorer import (
    attribution_exports,
    cell_figure,
    cell_program,
    exporting,
    exports,
    images,
    plots,
    prediction_exports,
    scope_exports,
    scope_figure,
    sidebar,
    state,
)
from explorer.scoping import Measured
from explorer.state import Selection
from lambda_core import LambdaLayer, load_checkpoint, trace
from lambda_core.data import prepare, square
from lambda_core.predict import predict
from tests.test_pages import start

LAYER = "stages.2.0.mix"


@pytest.fixture(scope="module")
def traced():
    checkpoint = load_checkpoint("lambda_resnet_mini")
    picture = images.gallery_picture("cat")
    taps = trace(checkpoint.model, prepare(picture.image, checkpoint.preprocess))
    layer = checkpoint.model.get_submodule(LAYER)
    tensors = {name.removeprefix(LAYER + "."): t[0].numpy() for name, t in taps.items() if name.startswith(LAYER)}
    tensors["embeddings"] = layer.embeddings.detach().numpy()
    height, width = tensors["input"].shape[1:]
    info = {
        "height": height, "width": width, "heads": layer.heads, "dim_k": layer.dim_k, "scope": layer.scope,
        "table": list(layer.embeddings.shape[-2:]), "position": True,
    }  # fmt: skip
    return tensors, info, square(picture.image, 128)


def test_the_npz_holds_every_tensor(traced):
    tensors, _, _ = traced
    loaded = np.load(io.BytesIO(exports.npz(tensors)))
    assert set(loaded.files) == set(tensors)
    assert all(np.array_equal(loaded[name], tensors[name]) for name in tensors)


def test_the_snippet_prints_the_output_of_the_layer_and_has_every_tensor_of_the_export(traced, capsys):
    tensors, info, _ = traced
    row, column, head = 3, 5, 2
    program = exports.snippet(
        network="lambda_resnet_mini", picture=images.expression("cat"), layer=LAYER, width=info["width"], row=row,
        column=column, head=head,
    )  # fmt: skip
    named: dict = {}
    exec(program, named)
    n = row * info["width"] + column
    expected = (tensors["content_output"] + tensors["position_output"])[head, n]
    assert ast.literal_eval(capsys.readouterr().out) == pytest.approx(expected.tolist(), abs=5e-4)
    assert named["tensors"].keys() == tensors.keys()
    assert all(np.array_equal(named["tensors"][name].numpy(), tensors[name]) for name in tensors)


def sent(kind):
    """A file that is easily read in another way than it is shown: turned, see-through, or of deep greys."""
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    pixels = rng.integers(0, 255, (90, 60, 4), np.uint8)
    if kind == "turned":
        exif = Image.Exif()
        exif[images.ORIENTATION_TAG] = 6
        Image.fromarray(pixels[..., :3]).save(buffer, "JPEG", exif=exif)
    elif kind == "see-through":
        Image.fromarray(pixels).save(buffer, "PNG")
    else:
        Image.fromarray(rng.integers(0, 65536, (90, 60), np.uint16)).save(buffer, "PNG")
    return images.read_image(buffer.getvalue())


@pytest.mark.parametrize("kind", ["turned", "see-through", "deep"])
def test_a_program_for_a_picture_of_ones_own_takes_what_is_shown(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = sent(kind).image
    (tmp_path / images.FILE).write_bytes(images.png_bytes(shown))
    picture, layer = images.expression("upload"), {"layer": LAYER, "network": "lambda_resnet_mini"}
    programs = [
        write(picture=picture, width=16, row=0, column=0, head=0, **layer)
        for write in (exports.snippet, exports.halves_snippet)
    ]
    where = {"row": 0, "column": 0, "head": 0, "key": 0, "value": 0}
    programs.append(cell_program.snippet(picture=picture, width=16, cell="output", **where, **layer))
    programs.append(scope_exports.snippet(picture=picture, n="0", head=0, scope=3, part="both", **layer))
    programs.append(attribution_exports.snippet(picture=picture, target=1, methods=["saliency"], **layer))
    checkpoint = load_checkpoint("lambda_resnet_mini")
    expected = prepare(shown, checkpoint.preprocess)
    for program in programs:
        named: dict = {}
        exec(program, named)
        assert torch.equal(named["x"].detach(), expected)
        assert "“Picture, PNG”: save it as picture.png" in program


def test_the_picture_that_a_program_reads_is_exported_with_it():
    """A frozen frame, or a picture of a data set, is no file that anybody has."""
    app = start("../pages/lambda_layer.py")
    assert "export_picture" not in downloads(app)
    for name in sidebar.SENT:
        app.session_state["pictures"] = {name: sent("turned")}
        app.session_state["selection"] = replace(app.session_state["selection"], image=name)
        for page in ("lambda_layer", "content_position", "scope", "attributions", "predictions"):
            app.query_params.clear()  # as the menu of the pages does
            app.switch_page(f"../pages/{page}.py").run()
            assert not app.exception and "export_picture" in downloads(app), page


def downloads(app):
    return " ".join(button.proto.id for button in app.get("download_button"))


def test_the_program_of_predictions_prints_the_likeliest_classes(capsys):
    exec(prediction_exports.snippet(network="micro_ccll", picture=images.expression("cat")), {})
    printed = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    best = predict(load_checkpoint("micro_ccll"), images.gallery_picture("cat").image)
    assert printed == [[f"{100 * one['probability']:.1f}", "%", one["class"]] for one in best]
    ast.parse(prediction_exports.snippet(network="a'b", picture=images.expression("camera")))


def test_what_is_taken_for_what_is_a_table():
    text = prediction_exports.as_csv([[3, 1], [0, 4]], ("cat, small", "dog"))
    assert list(csv.reader(io.StringIO(text))) == [["class", "cat, small", "dog"], ["cat, small", "3", "1"],
                                                   ["dog", "0", "4"]]  # fmt: skip


def test_the_snippet_opens_any_file():
    ast.parse(exports.snippet(network="a'b", picture="x", layer="l", width=4, row=0, column=0, head=0))


def test_implied_weights_give_the_output(traced):
    tensors, info, _ = traced
    n = 37
    weights = plots.implied_weights(tensors, info, n)["sum"].reshape(info["heads"], -1)
    output = weights @ tensors["v"][:, :, 0]
    expected = (tensors["content_output"] + tensors["position_output"])[:, n]
    np.testing.assert_allclose(output, expected, atol=1e-4)


@pytest.mark.parametrize("step", range(9))
def test_every_step_has_a_figure(traced, step):
    tensors, info, photo = traced
    figure = plots.step_figure(tensors, info, photo, row=0, column=15, step=step)
    kind = ("png", "svg")[step % 2]
    content = plots.save(figure, kind)
    assert content.startswith({"png": b"\x89PNG", "svg": b"<?xml"}[kind])


def test_a_sheet_keeps_every_map():
    maps = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    page = plots.sheet(maps, 2)
    assert page.shape == (3, 9)
    assert np.array_equal(page[:, :4], maps[0])
    assert np.array_equal(page[:, 5:], maps[1])


@pytest.mark.parametrize("cell", state.CELLS)
def test_an_open_cell_has_a_figure_of_its_sum(traced, cell):
    tensors, info, photo = traced
    n, head, key, value = 3 * info["width"] + 5, 1, 2, 7
    weights, values, constant = cell_figure.terms(tensors, info, n, cell, head, key, value)
    position = tensors["position_lambda"][n]
    expected = {
        "content_lambda": tensors["content_lambda"][key, value], "position_lambda": position[key, value],
        "lambda": (tensors["content_lambda"] + position)[key, value],
        "output": (tensors["content_output"] + tensors["position_output"])[head, n, value],
    }[cell]  # fmt: skip
    assert (weights * values).sum() + constant == pytest.approx(expected, abs=1e-4)
    where = {"row": 3, "column": 5, "cell": cell, "head": head, "key": key, "value": value}
    figure = cell_figure.cell_figure(tensors, info, photo, **where)
    assert f"{expected:.4g}"[:5] in figure.get_suptitle()
    assert plots.save(figure, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("cell", state.CELLS)
def test_the_program_of_an_open_cell_prints_its_number_and_its_products(traced, capsys, cell):
    tensors, info, _ = traced
    where = {"head": 1, "cell": cell, "key": 2, "value": 4}
    program = cell_program.snippet(
        network="lambda_resnet_mini", picture=images.expression("cat"), layer=LAYER, width=info["width"], row=3,
        column=5, **where,
    )  # fmt: skip
    exec(program, {})
    number, *products = capsys.readouterr().out.splitlines()
    weights, values, constant = cell_figure.terms(tensors, info, 3 * info["width"] + 5, **where)
    title, _, shown = number.partition(" = ")
    assert title == {"output": "y[2, 5]", "lambda": "λ[3, 5]"}.get(cell, title)
    assert float(shown) == pytest.approx(float((weights * values).sum()) + constant, abs=1e-3)
    largest = np.sort(np.abs(weights * values).ravel())[::-1]
    assert [abs(float(line.rpartition("= ")[2])) for line in products] == pytest.approx(largest[:6], abs=1e-3)


def test_the_figure_and_the_program_of_the_scope():
    traced_ = {"embeddings": np.random.default_rng(0).normal(size=(4, 1, 5, 5))}
    layer = {"height": 6, "width": 5}
    sizes = {"weights": (2, 6, 5), "layer": (6, 5), "image": (12, 10), "change": (6, 5)}
    found = Measured({name: np.ones(size) for name, size in sizes.items()}, [])
    for tensors in (traced_, {}):
        figure = scope_figure.scope_figure(
            tensors,
            found.tensors,
            layer,
            Image.new("RGB", (20, 20)),
            row=1,
            column=2,
            head=1,
            scope=3 if tensors else 0,
        )
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        assert any("$E$" in title or "r =" in title for title in titles) == bool(tensors)
        assert any("in the layer" in title for title in titles)
        assert isinstance(figure, Figure) and plots.save(figure, "png").startswith(b"\x89PNG")
    program = scope_exports.snippet(
        network="lambda_resnet_mini", picture="Image.fromarray(data.coffee())", layer="stages.2.0.mix", n="8 * 16 + 8",
        head=0, scope=5, part="position",
    )  # fmt: skip
    said: list[str] = []
    exec(compile(program, "snippet", "exec"), {"print": lambda *words: said.append(" ".join(map(str, words)))})
    assert said[0] == "positions that matter in the layer: 25 of 256"


def test_exports_of_different_views_have_different_names():
    views = [Selection(layer=LAYER, step=step) for step in range(9)]
    views += [Selection(layer=LAYER, step=step, cell=cell) for step in (6, 7) for cell in state.CELLS]
    views += [
        Selection(layer=LAYER, step=6, cell="lambda", key=1),
        Selection(layer=LAYER, step=6, cell="output", head=1),
    ]
    names = [exporting.file_name(view, view.step) for view in views] + [exporting.file_name(views[0], "halves")]
    assert len(set(names)) == len(names)
    open_cell = Selection(layer=LAYER, row=3, column=3, step=6, cell="lambda", key=2, value=4)
    assert exporting.file_name(open_cell, 6) == "lambda_stages_2_0_mix_4_4_step6_lambda_3_5"


def test_a_position_bias_is_part_of_a_cell():
    layer = LambdaLayer(8, heads=2, dim_k=4, dim_u=2, scope=3, position_bias=True).eval()
    torch.nn.init.normal_(layer.position_bias)
    taps = {name: t[0].numpy() for name, t in trace(layer, torch.randn(1, 8, 5, 4)).items()}
    taps |= {name: getattr(layer, name).detach().numpy() for name in ("embeddings", "position_bias")}
    info = {"height": 5, "width": 4, "dim_k": 4, "table": [3, 3], "scope": 3, "position": True}
    photo = Image.new("RGB", (20, 20))
    for cell, expected in (("position_lambda", taps["position_lambda"][9][1, 3]), ("output", None)):
        weights, values, constant = cell_figure.terms(taps, info, 9, cell, 1, 1, 3)
        if expected is None:
            expected = (taps["content_output"] + taps["position_output"])[1, 9, 3]
        assert constant and (weights * values).sum() + constant == pytest.approx(expected, abs=1e-4)
    where = {"row": 2, "column": 1, "head": 1, "key": 1, "value": 3}
    for cell, words in (("output", "of the products and the learned number is"), ("content_lambda", "products is")):
        assert words in cell_figure.cell_figure(taps, info, photo, cell=cell, **where).get_suptitle()
