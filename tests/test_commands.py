"""Commands that measure, run to their end: what they were asked for is what they measure, write and return."""

import json
import re

import pytest
import torch

from lambda_core import build, save_checkpoint
from lambda_core.attribution import METHODS
from lambda_core.attribution import __main__ as attribution
from lambda_core.benchmark import __main__ as benchmark
from lambda_core.data import DATASETS
from lambda_core.training import evaluate


def test_times_of_attributions_are_written_and_a_missed_target_is_the_status(tmp_path, monkeypatch, capsys):
    file = tmp_path / "found.json"
    arguments = ["--checkpoint", "micro_ccll", "--repeats", "1", "--json", str(file)]
    monkeypatch.setattr(attribution, "METHODS", {name: METHODS[name] for name in ("saliency", "grad_cam")})
    for target, status in ((600.0, 0), (0.0, 1)):
        monkeypatch.setattr(attribution, "TARGETS", {"Grad-CAM": target})
        assert attribution.main(arguments) == status
        found = json.loads(file.read_text())
        assert found.keys() == {"command", "date", "machine", "seconds"}
        assert found["command"] == "python -m lambda_core.attribution --checkpoint micro_ccll --repeats 1"
        assert list(found["seconds"]) == ["prediction", "Saliency", "Grad-CAM", "λ halves of one layer"]
        lines = dict(re.findall(r"^(\S.*?) +([\d.]+) s", capsys.readouterr().out, re.MULTILINE))
        assert {name: float(time) for name, time in lines.items()} == found["seconds"]


def test_as_many_runs_are_timed_as_were_asked_for_after_one_to_warm_up():
    runs = []
    assert attribution.seconds(lambda: runs.append(1), 3) >= 0
    assert len(runs) == 4


def test_another_data_set_than_that_of_the_card_is_measured_as_a_whole(tmp_path, capsys):
    options = {"depths": (1,), "widths": (8,), "strides": (1,), "stages": "L", "num_classes": 10}
    file, written = tmp_path / "mine.safetensors", tmp_path / "found.json"
    save_checkpoint(
        file, build("lambda_resnet_mini", **options), architecture={"name": "lambda_resnet_mini", "overrides": options},
        classes=tuple("0123456789"), preprocess={"size": 8, "mean": [0.5] * 3, "std": [0.5] * 3},
        card={"recipe": {"data": "imagenette", "held_out": 7}},
    )  # fmt: skip
    command = [str(file), "--data", str(tmp_path), "--workers", "0", "--json", str(written)]
    with pytest.raises(SystemExit, match="Imagenette is not in"):
        evaluate.main(command)
    evaluate.main([*command, "--dataset", "digits"])
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(written.read_text())
    assert (found["images"], found["size"]) == (len(DATASETS["digits"].load("val", None)), 8)


def test_the_benchmark_computes_on_the_threads_that_it_is_given(tmp_path, monkeypatch):
    before, file = torch.get_num_threads(), tmp_path / "found.json"
    monkeypatch.setitem(benchmark.WHAT, "layers", lambda *_: {"threads": torch.get_num_threads()})
    try:
        benchmark.main(["layers", "--threads", str(before + 1), "--device", "cpu", "--json", str(file)])
    finally:
        torch.set_num_threads(before)
    found = json.loads(file.read_text())
    assert found["threads"] == before + 1 and found["device"].endswith(f", {before + 1} thread(s)")
