"""Figures of answers agree with scikit-learn, torch and plain loops, and a mark that tells nothing apart says so."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from torchmetrics.functional.classification import multiclass_calibration_error

from lambda_core import evaluation, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import fingerprint
from lambda_core.evaluation import Answers
from lambda_core.training import classify, evaluate
from lambda_core.training.held_out import data_of, held_out
from tests import imagenette
from tests.tiny import TINY

CLASSES = 4


@pytest.fixture
def drawn():
    """Logits that lean to the right class, and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 300)
    return rng.normal(size=(300, CLASSES)) + 1.5 * np.eye(CLASSES)[labels], labels


def test_softmax_is_torchs(drawn):
    logits, _ = drawn
    large = logits * 1e4
    np.testing.assert_allclose(evaluation.softmax(large), torch.from_numpy(large).softmax(1), atol=1e-12)
    np.testing.assert_allclose(evaluation.log_sum_exp(large), torch.from_numpy(large).logsumexp(1))


def test_confusion_is_scikit_learns(drawn):
    logits, labels = drawn
    answers = logits.argmax(1)
    np.testing.assert_array_equal(
        evaluation.confusion(labels, answers, CLASSES), metrics.confusion_matrix(labels, answers)
    )


def test_calibration_error_is_torchmetrics(drawn):
    logits, labels = drawn
    p = evaluation.softmax(logits)
    found = evaluation.calibration(p.max(1), p.argmax(1) == labels)
    expected = multiclass_calibration_error(torch.from_numpy(p), torch.from_numpy(labels), CLASSES, evaluation.BINS)
    assert found["ece"] == pytest.approx(float(expected), abs=1e-6)
    assert sum(found["count"]) == 300 and len(found["accuracy"]) == evaluation.BINS


def test_a_network_that_is_as_often_right_as_it_says_has_no_error():
    confidence = np.repeat([0.25, 0.75], 1000)
    right = np.concatenate([np.arange(1000) < 250, np.arange(1000) < 750])
    found = evaluation.calibration(confidence, right)
    assert found["ece"] == pytest.approx(0)
    assert found["accuracy"][0] is None, "a bin without a picture says nothing"
    assert evaluation.calibration(confidence, ~right)["ece"] == pytest.approx(0.5)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_auroc_counts_pairs(inside, outside):
    pairs = [(a > b) + (a == b) / 2 for a in inside for b in outside]
    assert evaluation.auroc(np.array(inside), np.array(outside)) == pytest.approx(np.mean(pairs))


def answers(seed, centre, count=400, dim=6, spread=0.3):
    """Answers of a network whose features lie around `centre` (CLASSES, dim), and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(centre), count)
    features = centre[labels] + spread * rng.normal(size=(count, dim))
    return Answers(features @ np.eye(dim)[:, :CLASSES], features.astype(np.float32)), labels


def test_what_lies_elsewhere_is_refused_and_what_lies_the_same_is_not():
    home, away = np.eye(CLASSES, 6), -np.eye(CLASSES, 6)
    inside, labels = answers(0, home)
    found = evaluation.unfamiliar(inside, labels, answers(1, away)[0])
    assert found["auroc"][found["score"]] > 0.99 and found["refused_outside"] > 0.95
    assert found["refused_inside"] == pytest.approx(evaluation.REFUSED, abs=0.01)
    assert found["inside"] == 200, "the other half gives the class means"
    same = evaluation.unfamiliar(inside, labels, answers(2, home)[0])
    assert abs(same["auroc"][same["score"]] - 0.5) < 0.1 and same["refused_outside"] < 0.15


def test_the_likeness_to_class_means_is_kept_in_what_is_stored():
    """Outside has large logits but points away from every class mean: only likeness can tell."""
    home = np.eye(CLASSES, 6)
    inside, labels = answers(0, home)
    strange, _ = answers(1, 5 * np.eye(CLASSES, 6) + 9 * np.eye(6)[5])
    found = json.loads(json.dumps(evaluation.unfamiliar(inside, labels, strange)))
    assert found["score"] == "likeness" and found["auroc"]["energy"] < 0.1
    score = evaluation.familiarity(strange, found)
    assert (score < found["mark"]).mean() == pytest.approx(found["refused_outside"])
    means = np.stack([inside.features[::2][labels[::2] == c].mean(0) for c in range(CLASSES)])
    cosines = [max(f @ m / np.linalg.norm(f) / np.linalg.norm(m) for m in means) for f in strange.features]
    np.testing.assert_allclose(score, cosines, atol=1e-3)


def test_a_report_holds_what_a_loop_finds(drawn):
    logits, labels = drawn
    indices = np.arange(300) + 1000
    found = json.loads(json.dumps(evaluation.report(Answers(logits, logits), labels, indices)))
    right = [int(row.argmax() == label) for row, label in zip(logits, labels, strict=True)]
    losses = [-float(torch.tensor(row).log_softmax(0)[label]) for row, label in zip(logits, labels, strict=True)]
    assert found["top1"] == pytest.approx(100 * np.mean(right))
    assert found["loss"] == pytest.approx(np.mean(losses))
    assert found["hardest"][0]["index"] == 1000 + int(np.argmax(losses))
    assert found["hardest"][0]["loss"] == pytest.approx(max(losses), abs=1e-4)
    assert found["unfamiliar"] is None


def test_answers_are_the_models_and_features_give_its_logits():
    model = load_checkpoint("lambda_resnet_mini").model
    x = torch.randn(2, 3, 64, 64)
    found = evaluation.answers_of(model, x)
    with torch.no_grad():
        np.testing.assert_allclose(found.logits, model(x), atol=1e-5)
        np.testing.assert_allclose(model.classify(torch.from_numpy(found.features)), found.logits, atol=1e-5)
    assert not model.classify._forward_pre_hooks


def test_the_command_writes_what_it_measured(tmp_path, capsys):
    folder, file = imagenette.make(tmp_path, train=0, val=2), tmp_path / "found.json"
    file.write_text('{"another": {"weights": "x"}}')
    evaluation.main(["lambda_resnet_mini", "--data", str(folder), "--json", str(file)])
    found = json.loads(file.read_text())
    assert found["another"] == {"weights": "x"}
    mini = found["lambda_resnet_mini"]
    assert mini["images"] == 20 and np.sum(mini["confusion"]) == 20 and mini["unfamiliar"]["outside"] == 90
    assert mini["command"].startswith("python -m lambda_core.evaluation lambda_resnet_mini")
    assert f"{mini['top1']:.2f} %" in capsys.readouterr().out


def test_without_data_the_command_says_what_is_missing(tmp_path):
    with pytest.raises(SystemExit, match="imagenette2-160") as stopped:
        evaluation.main(["lambda_resnet_mini", "--data", str(tmp_path)])
    assert stopped.value.code == 2


def test_a_mark_needs_two_pictures(folder, monkeypatch):
    command = ["lambda_resnet_mini", "--data", str(folder), "--workers", "0", "--count"]
    evaluation.main([*command, "2"])
    monkeypatch.setattr(evaluation, "answers_of", lambda *_: pytest.fail("measured"))
    with pytest.raises(SystemExit, match="take 2 or more, not 1") as stopped:
        evaluation.main([*command, "1"])
    assert stopped.value.code == 2


def test_figures_that_ship_belong_to_weights_that_ship():
    """After new weights: python -m lambda_core.evaluation lambda_resnet_mini --data DIR --json (this file)."""
    from lambda_core.checkpoints import zoo

    for name, found in json.loads(evaluation.RESULTS.read_text()).items():
        assert found["weights"] == fingerprint(zoo()[name]), f"measure {name} again: {found['command']}"
        assert np.sum(found["confusion"]) == found["images"] == sum(found["calibration"]["count"])
        assert found["top1"] == pytest.approx(100 * np.trace(found["confusion"]) / found["images"])


def test_the_state_of_a_run_is_measured_on_the_data_it_was_trained_on(tmp_path):
    """As its weights are: the digits, and not Imagenette; and only so many as its recipe holds out."""
    overrides = {**TINY.overrides, "num_classes": 10}
    recipe = replace(TINY, data="digits", overrides=overrides, pictures=80, held_out=30, epochs=1)
    classify.train(recipe, tmp_path, None, device="cpu")
    state, weights = (evaluate.measure(str(tmp_path / name), None, 0) for name in ("state.pt", "last.safetensors"))
    assert state["images"] == weights["images"] == 30
    assert state["loss"] == pytest.approx(weights["loss"], abs=1e-2)


def test_accuracy_is_measured_on_pictures_as_the_card_prepares_them(tmp_path):
    """The same network under another mean, spread or crop sees other pictures."""
    folder = imagenette.make(tmp_path / "data", train=1, val=4)
    loaded = load_checkpoint("micro_ccll")
    found = {}
    for name, changes in {"as it is": {}, "spread": {"std": [9.0] * 3}, "crop": {"crop": 0.4}}.items():
        file = tmp_path / f"{name}.safetensors"
        save_checkpoint(
            file, loaded.model, architecture=loaded.card["architecture"], classes=loaded.classes,
            preprocess={**loaded.preprocess, **changes}, card={},
        )  # fmt: skip
        found[name] = evaluate.measure(str(file), folder, workers=0)["loss"]
    assert len({round(loss, 4) for loss in found.values()}) == 3


def test_a_photograph_of_a_class_is_not_one_of_other_things():
    every, without = (evaluation.outside_pictures({"size": 8}, names) for names in ((), ("dog", "Cat")))
    assert (len(every), len(without)) == (90, 85)
    first = 5 * evaluation.OUTSIDE.index("chelsea.png")
    assert torch.equal(without, torch.cat([every[:first], every[first + 5 :]]))
    assert set(evaluation.SUBJECTS) <= set(evaluation.OUTSIDE)


@pytest.mark.parametrize(
    ("card", "name"),
    [
        ({}, "imagenette"),
        ({"recipe": {"data": "cifar10"}}, "cifar10"),
        ({"recipe": {"data": "a folder of mine"}}, None),
        ({"recipe": {"data": ["x"]}}, None),
        ({"recipe": "x"}, "imagenette"),
    ],
)
def test_what_a_card_says_of_its_data(card, name, folder):
    assert data_of(card) == name
    checkpoint = replace(load_checkpoint("lambda_resnet_mini"), card=card)
    if name != "cifar10":
        assert len(held_out(checkpoint, folder)) == 20


def test_photographs_of_something_else_are_framed_as_the_others(monkeypatch):
    taken = []
    monkeypatch.setattr(
        evaluation.data, "square", lambda picture, size, **how: taken.append(how) or picture.resize((size, size))
    )
    told = {"size": 8, "mean": [0.5] * 3, "std": [0.2] * 3, "crop": 0.5, "interpolation": "bilinear"}
    assert evaluation.outside_pictures(told).shape == (90, 3, 8, 8)
    assert taken == [{"crop": 0.5, "interpolation": "bilinear"}] * 90
