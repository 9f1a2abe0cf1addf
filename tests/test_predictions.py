"""The predictions page without a browser: networks by name and by file, why one does not fit, figures on a set."""

import io
import json
import sys
import tomllib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from streamlit.testing.v1 import AppTest

from explorer import (
    answer_plots,
    card,
    exporting,
    images,
    loading,
    measured,
    navigation,
    networks,
    verdict,
    whole_set,
)
from explorer.networks import Opened
from lambda_core import build, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import Checkpoint, read_checkpoint
from lambda_core.data import IMAGENETTE_CLASSES, normalize, prepare
from lambda_core.evaluation import SCORES, Answers
from tests import imagenette

APP = str(navigation.PAGES.parent / "explorer" / "main.py")
HERE = "../pages/predictions.py"


def start(**query):
    app = AppTest.from_file(APP, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = str(value)
    app.run()
    app.switch_page(HERE).run()
    assert not app.exception
    return app


def shown(app):
    """Everything that the page says, as one text."""
    said = [e.value for kind in (app.markdown, app.caption, app.info, app.warning) for e in kind]
    return " ".join([*said, *(e.proto.body for e in app.get("html"))])


def small(path, **changes):
    """A small network of its own, in a file."""
    options = {"num_classes": 3, **changes}
    model = build("lambda_resnet_mini", **options)
    save_checkpoint(
        path, model, architecture={"name": "lambda_resnet_mini", "overrides": options},
        classes=("<b>one</b>", "two", "three"), preprocess={"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
        card={"note": "<script>alert(1)</script> [a](http://b)"},
    )  # fmt: skip
    return path.read_bytes()


def send(app, place, content, name="mine.safetensors"):
    app.file_uploader(key=f"file_{place}").upload(name, content, "application/octet-stream").run()
    assert not app.exception


def test_the_answer_is_the_models():
    loaded = load_checkpoint("lambda_resnet_mini")
    picture = images.gallery_picture("cat")
    found, _ = verdict.answered(picture, Opened("mini", "mini", loaded))
    with torch.no_grad():
        expected = loaded.model(prepare(picture.image, loaded.preprocess))
    np.testing.assert_allclose(found.logits, expected, atol=1e-5)
    best = loaded.classes[int(expected.argmax())]
    assert f"<li><span>{best}</span>" in shown(start(image="cat"))


def test_a_picture_below_the_mark_looks_like_nothing():
    answers = Answers(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]))
    mark = {"score": "energy", "mark": 1.4, "class_means": None}
    assert "none of the 2 classes" in verdict.unlike(answers, mark, 2)
    assert verdict.unlike(answers, {**mark, "mark": 1.2}, 2) is None
    assert verdict.unlike(answers, None, 2) is None


def test_the_picture_is_what_the_network_takes_pixel_by_pixel(monkeypatch):
    preprocess = {"size": 16, "mean": [0.5] * 3, "std": [0.5] * 3, "crop": 0.8, "interpolation": "nearest"}
    monkeypatch.setattr(loading, "checkpoint", lambda: Checkpoint(torch.nn.Identity(), (), preprocess))
    picture = images.gallery_picture("cat")
    seen = exporting.seen(picture)
    pixels = torch.from_numpy(np.array(seen)).permute(2, 0, 1)
    assert torch.equal(normalize(pixels, [0.5] * 3, [0.5] * 3)[None], prepare(picture.image, preprocess))
    wide = verdict.enlarged(seen)
    times = wide.width // 16
    assert wide.size == (16 * times, 16 * times) and wide.width >= 2 * verdict.WIDE
    assert np.array_equal(np.array(wide), np.array(seen).repeat(times, 0).repeat(times, 1))


def test_the_mark_is_told_in_plain_words():
    mark = {
        "score": "likeness", "mark": 0.7, "auroc": {"likeness": 0.837}, "refused_inside": 0.05, "refused_outside": 0.4,
        "outside": 90,
    }  # fmt: skip
    told = verdict.placed(0.72, mark)
    assert "likeness is 0.72, above the mark of 0.70: it may. Likeness is how close" in told
    assert "below the mark of 0.70: hardly." in verdict.placed(0.69, mark)
    assert "84 % of all pairs" in verdict.trust(mark) and "a coin would be right in 50 %" in verdict.trust(mark)
    assert verdict.MEANINGS.keys() == SCORES.keys()


def test_why_a_network_was_not_opened_is_said_until_something_else_is_done():
    app = start()
    send(app, "first", b"half a file")
    assert "Not opened" in shown(app)
    app.button(key="pick_cat").click().run()
    assert "Not opened" not in shown(app)
    send(app, "second", b"half a file, too")
    assert "Not opened" in shown(app)
    for page in ("../pages/scope.py", HERE):
        app.switch_page(page).run()
        assert not app.exception and "Not opened" not in shown(app)


def test_what_no_photographs_can_measure_is_not_offered(tmp_path, monkeypatch):
    """Three classes of its own, or ten without names: Imagenette's photographs say nothing of them."""
    monkeypatch.setenv("LAMBDA_DATA", str(tmp_path))
    app = start()
    send(app, "first", small(tmp_path / "mine.safetensors"))
    assert "It cannot be measured here: it tells other classes apart than those of Imagenette" in shown(app)
    assert "measure it below" not in shown(app) and "LAMBDA_DATA" not in shown(app)
    app.switch_page("../pages/content_position.py").run()
    assert not app.exception and "It cannot be measured here: it tells other" in shown(app)
    assert not any(button.key == "measure" for button in app.button)
    assert "Zeroed is not the same" not in shown(app)
    nameless = Opened("mine", "mine", Checkpoint(torch.nn.Identity()))
    assert "its classes have no names" in measured.unfit(nameless)


def test_a_file_becomes_the_network_of_every_page_and_the_list_brings_the_old_one_back(tmp_path):
    app = start()
    send(app, "first", small(tmp_path / "mine.safetensors"))
    assert "mine.safetensors" in shown(app) and "&lt;b&gt;one&lt;/b&gt;" in shown(app)
    assert "<script>" not in shown(app) and "<b>one" not in shown(app)
    app.switch_page("../pages/lambda_layer.py").run()
    assert not app.exception and app.session_state["checkpoint"].name == "mine.safetensors"
    app.switch_page(HERE).run()
    app.selectbox(key="network_first").set_value("lambda_resnet_mini").run()
    assert not app.exception and "checkpoint" not in app.session_state


def test_weights_that_do_not_fit_are_told_key_by_key(tmp_path):
    small(tmp_path / "mine.safetensors")
    weights = load_file(tmp_path / "mine.safetensors")
    with (tmp_path / "mine.safetensors").open("rb") as file:
        metadata = json.loads(file.read(int.from_bytes(file.read(8), "little")))["__metadata__"]
    name = next(name for name in weights if name.endswith("to_q.weight"))
    del weights[name]
    weights["stray"] = torch.zeros(2, 3)
    save_file(weights, tmp_path / "broken.safetensors", metadata)
    app = start()
    send(app, "first", (tmp_path / "broken.safetensors").read_bytes())
    assert "Not opened" in shown(app) and "checkpoint" not in app.session_state
    table = app.dataframe[0].value
    rows = {row["Key"]: (row["In the file"], row["Would fit"]) for _, row in table.iterrows()}
    assert rows["stray"] == ("2 × 3", "no such key")
    assert rows[name][0] == "nothing" and "×" in rows[name][1]


def test_weights_of_an_unknown_kind_are_told_key_by_key_too():
    buffer = io.BytesIO()
    torch.save({"conv1.weight": torch.zeros(4, 3, 7, 7)}, buffer)
    app = start()
    send(app, "first", buffer.getvalue())
    assert "save\\_checkpoint" in shown(app)
    assert app.dataframe[0].value.iloc[0].tolist() == ["conv1.weight", "4 × 3 × 7 × 7", "no such key"]


def test_the_list_names_the_file_on_show_and_offers_nothing_that_does_nothing(tmp_path):
    app = start()
    offered = len(app.selectbox(key="network_first").options)
    send(app, "first", small(tmp_path / "mine.safetensors"))
    box = app.selectbox(key="network_first")
    assert box.value == "mine.safetensors" and len(box.options) == offered + 1
    box.set_value("micro_content").run()
    assert not app.exception and app.session_state["checkpoint"].name == "micro_content"
    assert len(app.selectbox(key="network_first").options) == offered


def test_the_server_takes_the_files_that_the_page_offers_to_take():
    """Streamlit's own limit is that of every upload: a widget can only lower it."""
    config = tomllib.loads((navigation.PAGES.parent / ".streamlit" / "config.toml").read_text())
    app = start()
    asked = [app.file_uploader(key=f"{name}").proto.max_upload_size_mb for name in ("file_first", "network_file")]
    assert config["server"]["maxUploadSize"] >= max(asked) >= 140, "lambda_resnet152 has 140 MB"


def test_timm_without_a_connection_gives_a_sentence(monkeypatch):
    def offline(name):
        raise OSError("no route to host")

    monkeypatch.setattr(sys.modules["lambda_core.checkpoints.from_timm"], "fetch", offline)
    app = start()
    app.selectbox(key="network_first").set_value("timm/lambda_resnet26t").run()
    assert not app.exception
    assert "could not be fetched" in shown(app).replace("\\", "")
    assert app.selectbox(key="network_first").value == "lambda_resnet_mini"


def test_a_network_without_a_lambda_layer_answers_here(tmp_path):
    app = start()
    send(app, "first", small(tmp_path / "plain.safetensors", stages="CCCC"))
    assert app.session_state["checkpoint"].name == "mine.safetensors"
    assert "&lt;b&gt;one&lt;/b&gt;" in shown(app) and "This network has none" in shown(app)


def test_two_networks_side_by_side(tmp_path):
    app = start()
    send(app, "second", small(tmp_path / "mine.safetensors"))
    said = shown(app)
    assert said.count('<ol class="topk">') == 2 and said.count('<dl class="card">') == 2
    app.selectbox(key="network_second").set_value(networks.NONE).run()
    assert shown(app).count('<ol class="topk">') == 1


def test_what_is_measured_here_is_kept_for_these_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMBDA_DATA", str(imagenette.make(tmp_path, train=0, val=2)))
    overrides = {"num_classes": 10}
    torch.manual_seed(0)
    save_checkpoint(
        tmp_path / "mine.safetensors", build("lambda_resnet_mini", **overrides),
        architecture={"name": "lambda_resnet_mini", "overrides": overrides},
        classes=load_checkpoint("lambda_resnet_mini").classes,
        preprocess={"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
    )  # fmt: skip
    app = start()
    send(app, "first", (tmp_path / "mine.safetensors").read_bytes())
    assert not len(app.dataframe)
    app.button(key="set_measure").click().run()
    assert not app.exception
    row = app.dataframe[0].value.iloc[0]
    assert row["Photographs"] == "20" and "±" in row["Right answers (top-1)"]
    assert "Does the picture look like any of the classes at all?" in shown(app)
    assert any("AUROC" in caption.proto.help for caption in app.caption)
    assert "Loss: surprise (nats)" in row and "a guess among 10 classes" in shown(app)
    hard = next(button for button in app.button if (button.key or "").startswith("hard_"))
    hard.click().run()
    assert not app.exception and app.session_state["selection"].image == "set"


def test_a_damaged_picture_ends_the_measurement_with_a_sentence(tmp_path, monkeypatch):
    folder = imagenette.make(tmp_path, train=0, val=2)
    monkeypatch.setenv("LAMBDA_DATA", str(folder))
    monkeypatch.setattr(measured, "_known", lambda network: [])
    app = start()
    for file in folder.rglob("val/*/*"):
        file.write_bytes(b"nothing that could be a picture")
    app.button(key="set_measure").click().run()
    assert not app.exception and "It cannot be measured here: " in " ".join(info.value for info in app.info)


def test_a_class_without_pictures_gets_a_sentence(tmp_path, monkeypatch):
    folder = imagenette.make(tmp_path, train=0, val=1)
    monkeypatch.setenv("LAMBDA_DATA", str(folder))
    next(folder.rglob("val/*/*")).unlink()
    app = start()
    assert not app.exception and "cannot be measured here: " in shown(app)


def reported(count):
    return {"images": count, "top1": 50.0, "standard_error": 1.0}


def test_networks_are_compared_on_the_same_photographs(monkeypatch):
    one, two = (Opened(name, name, load_checkpoint("lambda_resnet_mini")) for name in ("one", "two"))
    known = {"one": [reported(3925), reported(300)], "two": [reported(300)]}
    monkeypatch.setattr(measured, "_known", lambda network: known[network.key])
    assert [found["images"] for found in measured.together([one, two])] == [300, 300]
    known["two"] = [reported(100)]
    assert measured.together([one, two]) is None
    assert measured.figures(one)["images"] == 3925


def trained_on(name, data, classes):
    """A network that says what it was trained on."""
    checkpoint = Checkpoint(
        torch.nn.Identity(), classes, {"size": 16, "mean": [0.5] * 3, "std": [0.5] * 3}, {"recipe": {"data": data}}
    )
    return Opened(name, name, checkpoint)


def told(monkeypatch, networks):
    """What the part of the validation set says beside its table."""
    said = []
    monkeypatch.setattr(whole_set.st, "caption", said.append)
    monkeypatch.setattr(whole_set.st, "markdown", said.append)
    for part in ("_table", "_diagrams", "_hardest"):
        monkeypatch.setattr(whole_set, part, lambda *_: None)
    whole_set.show(networks)
    return " ".join(said)


def test_networks_of_different_data_sets_are_not_to_be_compared(monkeypatch):
    """No set holds answers for both, so measuring is no way to compare them."""
    digits = trained_on("digits", "digits", tuple("0123456789"))
    home = trained_on("home", "imagenette", ("church", "parachute"))
    folder = trained_on("folder", "imagefolder", ("apple", "pear"))
    other = trained_on("other", "imagefolder", ("oak", "elm"))
    monkeypatch.setattr(measured, "_known", lambda network: [reported(100)])
    monkeypatch.setattr(whole_set, "_measure", lambda networks: None)
    for pair in ([digits, home], [folder, other]):
        assert not measured.comparable(pair) and measured.together(pair) is None
        said = told(monkeypatch, pair)
        assert "answer different questions" in said and "Measure them here" not in said
    assert "answer different questions" not in told(
        monkeypatch, [digits, trained_on("d2", "digits", digits.checkpoint.classes)]
    )


def test_networks_of_one_data_set_are_to_be_measured_together(monkeypatch):
    pair = [trained_on(name, "digits", tuple("0123456789")) for name in ("one", "two")]
    known = {"one": [reported(3925)], "two": [reported(300)]}
    monkeypatch.setattr(measured, "_known", lambda network: known[network.key])
    monkeypatch.setattr(whole_set, "_measure", lambda networks: None)
    assert "different photographs. Measure them here to compare." in told(monkeypatch, pair)
    known["two"] = []
    assert "different photographs" not in told(monkeypatch, pair), "the second was measured on none"


def test_the_set_to_bring_is_the_one_that_is_missing(tmp_path, monkeypatch):
    """The digits are always here."""
    monkeypatch.setenv("LAMBDA_DATA", str(tmp_path))
    pair = [trained_on("digits", "digits", tuple("0123456789")), trained_on("home", "imagenette", IMAGENETTE_CLASSES)]
    monkeypatch.setattr(measured, "_known", lambda network: [])
    assert "bring the validation photographs of Imagenette" in told(monkeypatch, pair)


def test_without_the_set_the_page_says_what_to_bring(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMBDA_DATA", str(tmp_path))
    assert "LAMBDA_DATA" in shown(start())


def test_a_card_reads_as_a_list():
    loaded = load_checkpoint("lambda_resnet_mini")
    rows = dict(card.rows(Opened("mini", "mini", loaded)))
    assert rows["Input"] == f"{loaded.preprocess['size']} × {loaded.preprocess['size']} px in RGB"
    assert rows["Parameters"] == f"{sum(p.numel() for p in loaded.model.parameters()) / 1e6:.2f} million"
    assert all(len(text) <= card.LONGEST for text in rows.values())
    assert rows["Note"] == loaded.card["note"], "the card of the network that ships is shown whole"


def test_a_recipe_in_words_is_read_and_breaks_nothing(tmp_path):
    options = {"num_classes": 3}
    save_checkpoint(
        tmp_path / "mine.safetensors", build("lambda_resnet_mini", **options),
        architecture={"name": "lambda_resnet_mini", "overrides": options},
        preprocess={"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3}, card={"recipe": "AdamW, 90 epochs"},
    )  # fmt: skip
    app = start()
    send(app, "first", (tmp_path / "mine.safetensors").read_bytes())
    assert "<dd>AdamW, 90 epochs</dd>" in shown(app)
    app.switch_page("../pages/content_position.py").run()
    assert not app.exception


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_show_the_numbers(scheme):
    counts = [[8, 2], [1, 9]]
    figure = answer_plots.confusion(counts, ["a", "b"], scheme)
    cells = zip(*(np.ravel(trace.text) for trace in figure.data), strict=True)
    assert ["".join(cell) for cell in cells] == ["8", "2", "1", "9"], "each number stands in one trace"
    assert figure.data[0].zmax == pytest.approx(0.2), "the scale ends at the largest mistake"
    assert {figure.layout.xaxis.type, figure.layout.yaxis.type} == {"category"}, "digits are names, not numbers"
    assert figure.layout.xaxis.tickangle == 0
    assert answer_plots.confusion(counts, ["tench", "b"], scheme).layout.xaxis.tickangle == -45
    found = {"count": [3, 0], "accuracy": [1 / 3, None]}
    assert list(answer_plots.reliability(found, scheme).data[0].y) == [1 / 3, None]
    assert answer_plots.most_confused(counts, ["a", "b"])[0] == {
        "Class": "a", "Taken for": "b", "Photographs": 2, "of": 10,
    }  # fmt: skip


def test_a_network_of_timm_is_not_rounded(monkeypatch):
    model = build("lambda_resnet_mini", depths=(1,), widths=(8,), strides=(1,), stages="L", num_classes=3)
    card = {"architecture": {"name": "lambda_resnet_mini", "overrides": {
        "depths": (1,), "widths": (8,), "strides": (1,), "stages": "L", "num_classes": 3,
    }}}  # fmt: skip
    preprocess = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    fetched = Checkpoint(model, ("a", "b", "c"), preprocess, card)
    monkeypatch.setattr(networks, "load_checkpoint", lambda name: fetched)
    found = read_checkpoint(networks._content("timm/lambda_resnet26t")).model.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in model.state_dict().items())
