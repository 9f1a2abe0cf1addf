"""The benchmark refuses wrong answers, compares with whoever is installed, and writes what it printed."""

import json

import pytest
import torch

from lambda_core import LambdaLayer
from lambda_core.benchmark import __main__ as command
from lambda_core.benchmark import layers, measuring, models, peers

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", peers.PEERS)
@pytest.mark.parametrize("scope", [5, None])
def test_peers_have_our_weights(name, scope):
    torch.manual_seed(0)
    ours = LambdaLayer(16, dim_k=4, scope=scope, size=None if scope else (5, 5))
    x, dy = torch.randn(2, 16, 5, 5, requires_grad=True), torch.randn(2, 16, 5, 5)
    theirs = peers.peer(name, ours)
    layers.check(name, theirs, layers._step(ours, x, dy), x, dy)
    with torch.no_grad():
        ours.embeddings += 1
    with pytest.raises(SystemExit, match="no time is reported"):
        layers.check(name, theirs, layers._step(ours, x, dy), x, dy)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(layers, "STAGES", ((16, 6), (32, 3)))
    monkeypatch.setattr(layers, "SIDES", (4, 6))


@pytest.mark.parametrize("there", [["timm", "lucidrains"], []])
def test_layers(tiny, tmp_path, monkeypatch, capsys, there):
    for module in (layers, command):
        monkeypatch.setattr(module, "installed", lambda: there)
    path = tmp_path / "layers.json"
    command.main(["layers", "--repeats", "1", "--batch", "2", "--device", "cpu", "--json", str(path)])
    found, printed = json.loads(path.read_text()), capsys.readouterr().out
    assert set(found) >= {"command", "device", "date", "stages", "limits"}
    assert found["command"] == "python -m lambda_core.benchmark layers --repeats 1 --batch 2 --device cpu"
    assert [row["side"] for row in found["stages"]] == [6, 3]
    for row in found["stages"]:
        for what in ("step", "inference", "memory"):
            assert set(row[what]) == {"ours", *there}
            assert min(row[what].values()) > 0
            if there:
                expected = min(row[what][name] for name in there) / row[what]["ours"]
                assert row["ratio"][what] == pytest.approx(expected)
    assert ("not installed" in printed) == (not there)
    assert {row["engine"] for row in found["limits"]["engines"]} >= {"gemm", "fft", "attention", "convolution"}


def test_growth(tiny):
    rows = layers.growth(1, CPU)
    assert [row["side"] for row in rows] == [4, 6]
    assert all(row["auto"] in row["ms"] and row["mib"] > 0 for row in rows)


def test_peak_memory_counts_what_is_alive_at_once():
    def run():
        first = torch.empty(2**20)
        second = torch.empty(2**20)
        del first, second
        return torch.empty(2**18)

    assert measuring.peak_bytes(run, CPU) == 2 * 4 * 2**20


def test_mean_is_geometric():
    assert measuring.mean([2.0, 8.0]) == pytest.approx(4)


def test_networks_of_peers_give_the_same_shapes(monkeypatch):
    monkeypatch.setattr(models, "NETWORKS", {"ResNet-50": "CCCC"})
    layer = torch.nn.Sequential(LambdaLayer(16, dim_k=4, scope=3, stride=2))
    with torch.no_grad():
        expected = layer(x := torch.randn(2, 16, 6, 6))
        assert models.with_peers("lucidrains", layer)(x).shape == expected.shape
