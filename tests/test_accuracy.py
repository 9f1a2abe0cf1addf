"""Accuracy with halves switched off: measured on the page, by the command, and what others measured."""

import json
import re
import shutil

import pytest
import torch

from explorer import accuracy, halves
from lambda_core import build, load_checkpoint, save_checkpoint
from lambda_core.data import subset
from lambda_core.evaluation import standard_error
from lambda_core.switching import everywhere
from lambda_core.tables import published
from lambda_core.training import halves as worth
from lambda_core.training.ablations import NOTHING
from lambda_core.training.held_out import held_out
from tests import ablation_results
from tests.imagenette import make
from tests.test_content_position import PAGE, press
from tests.test_pages import said, start


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("data"), train=1, val=4)


@torch.no_grad()
def right(checkpoint, pictures, off):
    batch = torch.stack([image for image, _ in pictures])
    return worth.right_answers(checkpoint, batch, torch.tensor([label for _, label in pictures]), off)


def test_accuracy_is_measured_on_the_photographs_that_are_there(folder, monkeypatch):
    monkeypatch.setenv("LAMBDA_DATA", str(folder))
    app = start(PAGE)
    press(app, "preset_Content only")
    press(app, "measure")  # the first batch of two
    assert app.button(key="measure_cancel")
    press(app, "measure_cancel")
    assert "| 20 |" in accuracies(app)
    press(app, "measure")  # goes on where it was
    checkpoint = load_checkpoint("lambda_resnet_mini")
    pictures = list(held_out(checkpoint, folder))
    off = everywhere(checkpoint.model, "position")
    for name, which in (("Whole", {}), ("Position off everywhere", off)):
        shown = re.search(rf"\| {name} \| ([\d.]+)\s% .* (\d+) \|", accuracies(app))
        assert shown and int(shown[2]) == 40
        assert float(shown[1]) == pytest.approx(100 * right(checkpoint, pictures, which) / 40, abs=0.05)
    assert not any(button.key == "measure_cancel" for button in app.button)


def test_as_many_photographs_are_measured_as_were_chosen(folder, monkeypatch):
    monkeypatch.setenv("LAMBDA_DATA", str(folder))
    monkeypatch.setattr(accuracy, "COUNTS", (10, 20))
    app = start(PAGE, network="micro_ccll")
    app.selectbox(key="measure_count").set_value(10).run()
    assert app.button(key="measure").label == "Measure on 10 validation photographs"
    press(app, "measure")
    assert "| 10 |" in accuracies(app) and not any(button.key == "measure_cancel" for button in app.button)


def test_data_that_go_away_get_a_sentence_for_the_page(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("LAMBDA_DATA", str(folder))
    app = start(PAGE)
    monkeypatch.setattr(accuracy, "_why_not", lambda: None)
    monkeypatch.setenv("LAMBDA_DATA", str(tmp_path))
    press(app, "measure")
    assert "bring the validation photographs of Imagenette" in said(app) and "--data" not in said(app)


def test_a_damaged_picture_ends_the_measurement_with_a_sentence(folder, monkeypatch, tmp_path):
    broken = shutil.copytree(folder, tmp_path / "data")
    monkeypatch.setenv("LAMBDA_DATA", str(broken))
    app = start(PAGE)
    for file in broken.rglob("val/*/*"):
        file.write_bytes(b"nothing that could be a picture")
    press(app, "measure")
    assert "It cannot be measured here: " in said(app) and "picture" in said(app)
    assert not any(button.key == "measure_cancel" for button in app.button)
    press(app, "measure")
    assert not app.exception and "It cannot be measured here: " in said(app)


def accuracies(app):
    return next(text.value for text in app.markdown if "standard error" in text.value)


def test_networks_trained_with_one_half_stand_beside_the_papers(tmp_path, monkeypatch):
    ablation_results.make(tmp_path, monkeypatch, {"micro_ccll": (81.0, 82.0), "micro_content": (70.3,)})
    app = start(PAGE)
    texts = [text.value.replace("\u00a0", " ") for text in app.markdown]
    table = next(text for text in texts if "Trained so, paper" in text)
    rows = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")[1:] for line in table.splitlines()}
    assert [row[-2] for row in rows.values()][2:] == ["81.5 % (1.0)", "70.3 %", "–"]
    for row in published()["tables"]["content_vs_position"]["rows"]:
        assert rows[accuracy.NAMES[row["row"]]][-1] == f"{row['top1']:.1f} %"
    assert any("Not trained yet: lambda, position only" in text.value for text in app.markdown)


def test_without_results_of_the_ablations_a_sentence(tmp_path, monkeypatch):
    ablation_results.make(tmp_path, monkeypatch, {})
    assert any(text.value == NOTHING for text in start(PAGE).markdown)


def test_a_subset_is_fixed_and_nested():
    assert subset(100, 30) == subset(100, 30) == subset(100, 60)[:30]
    assert sorted(subset(10, 99)) == list(range(10))
    assert subset(100, 30) != subset(100, 30, seed=1)
    assert standard_error(50, 100) == pytest.approx(5)


def test_the_command_writes_what_the_page_reads(folder, tmp_path, monkeypatch, capsys):
    file = tmp_path / "halves.json"
    worth.main(["lambda_resnet_mini", "--data", str(folder), "--workers", "0", "--json", str(file)])
    figures = json.loads(capsys.readouterr().out)
    assert figures.keys() == {"whole", "without content", "without position", "images", "size"}
    assert figures["images"] == 40
    monkeypatch.setattr(halves, "RESULTS", tmp_path)
    assert halves.measured_before() == figures
    report = json.loads(file.read_text())
    file.write_text(json.dumps(report | {"weights": "of another network"}))
    assert halves.measured_before() is None


def test_a_network_of_other_classes_is_refused(folder, tmp_path):
    overrides = {"num_classes": 2}
    save_checkpoint(
        tmp_path / "other.safetensors", build("lambda_resnet_mini", **overrides),
        architecture={"name": "lambda_resnet_mini", "overrides": overrides}, classes=("a", "b"),
        preprocess={"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
    )  # fmt: skip
    with pytest.raises(SystemExit, match="other classes"):
        worth.main([str(tmp_path / "other.safetensors"), "--data", str(folder)])
    with pytest.raises(SystemExit, match="Imagenette is not in"):
        worth.main(["lambda_resnet_mini", "--data", str(tmp_path)])
