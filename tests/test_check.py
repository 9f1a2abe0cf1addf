"""The check of a device: it passes here, and it notices what is wrong."""

import json

import pytest
import torch

from lambda_core import check
from lambda_core.engines import ENGINES


@pytest.fixture
def small(monkeypatch):
    """Two problems, the lambda layer and the convolution, a dozen steps."""
    monkeypatch.setattr(check, "PROBLEMS", (*check.PROBLEMS[:1], (2, 2, 4, 8, 1, (7, 7), (10, 6))))
    monkeypatch.setattr(check, "LAYERS", {letter: check.LAYERS[letter] for letter in "CL"})
    monkeypatch.setattr(check, "STEPS", 12)


@pytest.mark.long
def test_this_device_passes(small, tmp_path, capsys):
    check.main(["--device", "cpu", "--json", str(tmp_path / "check.json")])
    assert "all within the limits on" in capsys.readouterr().out
    report = json.loads((tmp_path / "check.json").read_text())
    assert {(row["engine"], row["type"]) for row in report["engines"]} == {
        (name, type_) for name in ENGINES for type_ in ("float64", "float32", "bfloat16", "float16")
    }
    assert {row["layer"] for row in report["layers"]} == {"C", "L"}
    assert {row["model"] for row in report["training"]} == {*ENGINES, "lambda_resnet_micro"}
    assert set(report) >= {"command", "device", "torch", "date"}


def test_a_wrong_engine_is_named(small, monkeypatch, capsys):
    def off(q, v, table, size, content=None):
        return 1.001 * right(q, v, table, size, content)

    right = ENGINES["gemm"]
    monkeypatch.setitem(check.ENGINES, "gemm", off)
    monkeypatch.setattr(check, "training", lambda device: [])
    with pytest.raises(SystemExit) as stopped:
        check.main(["--device", "cpu"])
    assert "gemm in float32 is off by 1.0e-03" in str(stopped.value)
    assert "fft" not in str(stopped.value)


def test_numbers_that_are_missing_are_no_small_error():
    nan = torch.tensor([1.0, float("nan")])
    assert check.error(nan, torch.ones(2)) == float("inf")
    assert check.error(torch.zeros(2), torch.ones(2)) == pytest.approx(1)


def test_a_loss_that_is_not_a_number_fails():
    row = {"model": "gemm", "type": "float16", "finite": False, "first": 1.0, "last": float("nan")}
    assert check.failures({"engines": [], "layers": [], "training": [row]})
    assert not check.failures({"engines": [], "layers": [], "training": [row | {"finite": True, "last": 0.5}]})


def test_a_device_that_is_not_there_ends_in_a_sentence(capsys):
    for name in ("nothing", "meta"):
        with pytest.raises(SystemExit) as stopped:
            check.main(["--device", name])
        assert stopped.value.code == 2
        assert f"this machine has no device '{name}'" in capsys.readouterr().err
