"""Seconds of a layer: sums of what was measured, with weights that describe the runs on file."""

import json
from statistics import median

import pytest
import torch

from lambda_core import step_time
from lambda_core.cost import MEMORY, total
from lambda_core.cost.operations import operations
from lambda_core.engines.auto import estimate
from lambda_core.measuring import Point


def test_what_attention_counts():
    point = Point("global attention", 8, batch=2, layers=3)
    layers, products, kept = step_time.counts(point)
    assert layers == 3 and kept == point.expected().bytes
    assert 2 * products == total(operations("global attention", side=8, dim=128, batch=2, layers=3))


def test_what_a_lambda_layer_counts():
    point = Point("lambda, gemm", 8, batch=2, scope=99, layers=3)
    layers, products, position = step_time.counts(point)
    alone = estimate((2, 8, 64, 16), (2, 64, 16, 1), (16, 1, 15, 15), (8, 8))["gemm"].seconds
    assert layers == 3 and position == pytest.approx(3 * alone)
    terms = operations("lambda, gemm", side=8, dim=128, batch=2, scope=99, layers=3)
    assert 2 * products == sum(t.value for t in terms if "engine" not in t.name) < total(terms)


@pytest.mark.parametrize("kind", MEMORY)
def test_the_constants_describe_their_runs(kind):
    runs = json.loads(step_time.RESULTS.read_text())["layers"][kind]["runs"]
    for run in runs:
        sizes = {name: value for name, value in run.items() if "ms" not in name}
        assert 1e3 * step_time.seconds(Point(kind, **sizes)) == pytest.approx(run["estimated_ms"], rel=0.02)
    assert median(max(r["ms"] / r["estimated_ms"], r["estimated_ms"] / r["ms"]) for r in runs) < 1.35
    assert step_time.seconds(Point(kind, 48)) > step_time.seconds(Point(kind, 16))


def test_a_measurement_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(step_time, "SIZES", ({"side": 4}, {"side": 5, "batch": 2}, {"side": 6, "dim": 64}))
    monkeypatch.setattr(step_time, "MEMORY", ("linear attention", "lambda, gemm"))
    path, threads = tmp_path / "constants.json", torch.get_num_threads()
    try:
        step_time.main(["--json", str(path)])
    finally:
        torch.set_num_threads(threads)
    written = json.loads(path.read_text())["layers"]
    assert set(written) == {"linear attention", "lambda, gemm"}
    for row in written.values():
        assert len(row["weights"]) == 3 and min(row["weights"]) >= 0 < max(row["weights"])
        assert all(run["ms"] > 0 for run in row["runs"])
