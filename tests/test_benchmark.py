"""The benchmark refuses wrong answers, compares with whoever is installed, and writes what it printed."""

import contextlib
import json
import weakref

import pytest
import torch

from lambda_core import LambdaLayer
from lambda_core.benchmark import __main__ as command
from lambda_core.benchmark import contest, engines, layers, measuring, models, parity, peers, precision, race, report
from lambda_core.engines import proof

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", precision.PRECISIONS)
@pytest.mark.parametrize("name", peers.PEERS)
@pytest.mark.parametrize("scope", [5, None])
def test_peers_have_our_weights(name, scope, dtype):
    torch.manual_seed(0)
    ours = LambdaLayer(16, dim_k=4, scope=scope, size=None if scope else (5, 5))
    x, dy = torch.randn(2, 16, 5, 5, requires_grad=True), torch.randn(2, 16, 5, 5)
    theirs = peers.peer(name, ours)
    parity.check(name, theirs, parity.step(ours, x, dy), x, dy, dtype)
    with torch.no_grad():
        ours.embeddings.copy_(ours.embeddings.flip(-1))
    with pytest.raises(proof.Wrong, match="no time is reported"):
        parity.check(name, theirs, parity.step(ours, x, dy), x, dy, dtype)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(layers, "STAGES", ((16, 6), (32, 3)))
    monkeypatch.setattr(engines, "SIDES", (4, 6))


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


class _Peer(torch.nn.Module):
    """A peer that does one thing wrong, once it has begun as ours does."""

    def __init__(self, ours, fault):
        super().__init__()
        self.ours, self.fault, self.largest = ours, fault, 2

    def forward(self, x):
        if self.fault == "memory" and len(x) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nand more")
        if self.fault == "device":
            raise RuntimeError("Expected all tensors to be on the same device")
        if self.fault == "wrong" or (self.fault == "coarse" and torch.is_autocast_enabled("cpu")):
            return self.ours(x) * 1.5
        return self.ours(x)


def _with_peer(monkeypatch, fault):
    monkeypatch.setattr(layers, "installed", lambda: ["timm", "lucidrains"])
    monkeypatch.setattr(
        layers, "peer", lambda name, ours: _Peer(ours, fault) if name == "timm" else peers.peer(name, ours)
    )


@pytest.mark.parametrize(("fault", "what"), [("memory", "step"), ("device", "parity"), ("coarse", "parity")])
def test_a_failing_peer_is_recorded(monkeypatch, fault, what):
    _with_peer(monkeypatch, fault)
    row = layers.compare(16, 4, 3, 3, 1, CPU, precision="bfloat16")
    for each in ("step", "inference", "memory"):
        assert row[each]["timm"] is None
        assert row["ratio"][each] == row[each]["lucidrains"] / row[each]["ours"]
    reason = row["failed"][what]["timm"]
    assert reason.startswith(
        {"memory": "OutOfMemoryError: CUDA out", "device": "RuntimeError: Exp"}.get(fault, "Wrong")
    )
    assert "\n" not in reason
    assert reason in report.layer(row)
    assert " - " in report.layers([row])
    json.dumps(row)


def test_all_peers_may_fail(monkeypatch):
    _with_peer(monkeypatch, "memory")
    monkeypatch.setattr(layers, "installed", lambda: ["timm"])
    row = layers.compare(16, 4, 3, 3, 1, CPU)
    assert row["ratio"] == {}
    assert min(row[what]["ours"] for what in contest.WHAT) > 0
    assert layers.summary([row]) == {}


def test_a_wrong_peer_ends_the_comparison(monkeypatch):
    _with_peer(monkeypatch, "wrong")
    with pytest.raises(SystemExit, match=r"timm: its output is off by 5\.0e-01"):
        layers.compare(16, 4, 2, 3, 1, CPU)


def test_ours_may_not_be_wrong_under_autocast_either(monkeypatch):
    class Coarse(LambdaLayer):
        def forward(self, x, context=None):
            y = super().forward(x, context)
            return y * 1.1 if torch.is_autocast_enabled("cpu") else y

    monkeypatch.setattr(layers, "LambdaLayer", Coarse)
    layers.compare(16, 4, 2, 3, 1, CPU)
    with pytest.raises(SystemExit, match=r"ours: its output is off by 1\..e-01"):
        layers.compare(16, 4, 2, 3, 1, CPU, precision="bfloat16")


def test_compiled_and_attention(monkeypatch):
    """In place of the compiler, which takes minutes: what does not compile, and what compiles to something else."""
    _with_peer(monkeypatch, None)

    def compiled(module):
        if isinstance(module, _Peer):
            raise NotImplementedError("no such operator")
        return _Peer(module, None if isinstance(module, LambdaLayer) else "wrong")

    monkeypatch.setattr(contest, "compiled", compiled)
    row = layers.compare(32, 4, 2, 3, 1, CPU, precision="bfloat16", compiled=True, attention=True)
    assert set(row["step"]) == {
        "ours", "timm", "lucidrains", "ours, compiled", "timm, compiled", "lucidrains, compiled", layers.ATTENTION,
    }  # fmt: skip
    assert set(row["failed"]) == {"parity"}
    assert row["failed"]["parity"].keys() == {"timm, compiled", "lucidrains, compiled"}
    assert "off by 5.0e-01" in row["failed"]["parity"]["lucidrains, compiled"]
    for what in contest.WHAT:
        each = row[what]
        assert each["timm, compiled"] is each["lucidrains, compiled"] is None
        assert each[layers.ATTENTION] > 0
        assert row["ratio"][what] == min(each["timm"], each["lucidrains"]) / each["ours"]
        best = min(each["ours"], each["ours, compiled"])
        assert row["ratio_compiled"][what] == min(each["timm"], each["lucidrains"]) / best


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_precision_reaches_layers_and_engines(tiny, tmp_path, dtype):
    path = tmp_path / "layers.json"
    torch.set_float32_matmul_precision("highest")  # a training before leaves it lower
    command.main(
        ["layers", "--repeats", "1", "--batch", "2", "--device", "cpu", "--precision", dtype, "--json", str(path)]
    )
    found = json.loads(path.read_text())
    assert found["precision"] == dtype
    # timm's layer would end the process, see peers.check_safe
    assert [row["step"]["timm"] is None for row in found["stages"]] == [dtype == "bfloat16"] * 2
    assert found["torch"] == torch.__version__
    assert found["float32_matmul"] == "highest"
    assert all(row["ms"] > 0 for row in found["limits"]["engines"])


def test_the_input_comes_in_the_type_that_the_layer_before_has_made():
    seen = []
    layer = torch.nn.Conv2d(3, 3, 1)
    layer.register_forward_hook(lambda module, x, y: seen.append((x[0].dtype, y.dtype)))
    x = torch.randn(2, 3, 4, 4)
    for name, dtype in precision.PRECISIONS.items():
        gradient = parity.step(layer, parity.inputs(x, name), torch.ones_like(x), name)[2]
        parity.inference(layer, parity.inputs(x, name), name)
        assert seen[-2:] == [(dtype, dtype)] * 2
        assert gradient.dtype == torch.float32


def test_full_float32_is_put_back(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    torch.set_float32_matmul_precision("high")
    try:
        with contextlib.suppress(KeyError), precision.full_float32():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            raise KeyError
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_short_run_is_timed_many_times_at_once(monkeypatch):
    """The clock of the test is the work itself: 0.1 ms a call, 3 s for what is compiled, 0.05 ms for a wait."""
    now, calls, waits = [0.0], [], []

    def run():
        now[0] += 1e-4 if calls else 3.0
        calls.append(now[0])

    def wait():
        now[0] += 5e-5
        waits.append(len(calls))

    monkeypatch.setattr(measuring, "perf_counter", lambda: now[0])
    found = measuring._queued(run, 3, wait)
    assert 0.1 <= found < 0.101
    assert len(calls) > 3 * 100
    assert len(waits) == 2 * 5  # two untimed, three timed, before and after
    calls.clear()

    def slow():
        now[0] += 5.0
        calls.append(now[0])

    assert measuring._queued(slow, 9, wait) == pytest.approx(5000, rel=1e-3)
    assert len(calls) == 2


def test_on_cuda_a_failed_run_is_recorded_and_its_memory_given_back(monkeypatch):
    """The path that a GPU takes, without the GPU: what the failed run held must be free as the cache is emptied."""
    cuda, held, alive = torch.device("cuda"), [], []

    def fails():
        tensor = torch.empty(3)
        held.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append([ref() is not None for ref in held]))
    runs = {"fails": fails, "runs": lambda: torch.ones(2).sum()}
    failures = {}
    found = measuring.milliseconds(runs, 2, cuda, failures)
    assert list(found) == ["runs"]
    assert failures == {"fails": "OutOfMemoryError: CUDA out of memory"}
    assert alive == [[False], [False]]
    with pytest.raises(torch.OutOfMemoryError):
        measuring.milliseconds(runs, 2, cuda)


def test_growth(tiny):
    rows = engines.growth(1, CPU)
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


def test_throughput_beside_that_of_the_paper(monkeypatch, capsys):
    def tiny(_, stages):
        if stages == "CLLL":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, 8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())

    monkeypatch.setattr(models, "build", tiny)
    monkeypatch.setattr(race, "compiled", lambda network: torch.nn.Sequential(network))
    found = models.compare(2, 16, 1, [], CPU, networks=models.ALL, precision="bfloat16", compile_too=True)
    lost, kept = "LambdaResNet-50 CLLL", "LambdaResNet-50 LLLL, compiled"
    assert {name for name in found["step"] if "compiled" not in name} == set(models.ALL)
    assert found["failed"] == {"build": {lost: "OutOfMemoryError: CUDA out of memory"}}
    for what in ("step", "inference"):
        time, relative = found[what], found["relative_throughput"][what]
        assert found["images_per_second"][what][kept] == pytest.approx(2000 / time[kept])
        assert relative[kept] == pytest.approx(time["ResNet-50, compiled"] / time[kept])
        assert relative["ResNet-50"] == relative["ResNet-50, compiled"] == 1
        assert time[lost] is relative[lost] is found["images_per_second"][what][lost] is None
    assert found["to_resnet50"][kept] == pytest.approx(1 / found["relative_throughput"]["step"][kept])
    rows = {row["row"]: row["value"] for row in found["paper_rows"]}
    assert rows.keys() == {"CCCC", "CCCL", "CCLL", "LLLL"}
    assert rows["LLLL"] == round(found["images_per_second"]["step"]["LambdaResNet-50 LLLL"])
    assert found["memory"][lost] is found["to_resnet50"][lost] is None
    published = {name: round(value, 2) for name, value in found["paper"]["relative_throughput"].items()}
    assert list(published.values()) == [1, 0.99, 0.69, 0.30, 0.16]
    lines = report.models(json.loads(json.dumps(found))).splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    assert f"{lost}, build: OutOfMemoryError: CUDA out of memory" in lines[-1]
    assert "ResNet-50: step" in capsys.readouterr().out  # at once


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["layers", "--stages", "CCLL"], "--stages is of models: layers does not read it"),
        (["layers", "--peers"], "--peers is of models: layers does not read it"),
        (["global", "--all"], "--all is of models: global does not read it"),
        (["models", "--attention"], "--attention is of layers and global: models does not read it"),
        (["models", "--all", "--stages", "CCLL"], "give one of the two"),
    ],
)
def test_an_option_that_would_not_be_read_is_refused(monkeypatch, capsys, arguments, reason):
    monkeypatch.setitem(command.WHAT, arguments[0], lambda *_: pytest.fail("measured"))
    with pytest.raises(SystemExit) as stopped:
        command.main([*arguments, "--device", "cpu"])
    assert stopped.value.code == 2 and reason in capsys.readouterr().err


@pytest.mark.parametrize("name", peers.PEERS)
def test_one_example_is_refused_where_the_peers_answers_to_it_are_wrong(tiny, monkeypatch, capsys, name):
    """Where the comparison no longer ends so, PyTorch has mended its batch norm, and one example may be measured."""
    for module in (layers, command):
        monkeypatch.setattr(module, "installed", lambda: [name])
    with pytest.raises(SystemExit) as stopped:
        command.main(["layers", "--batch", "1", "--device", "cpu"])
    assert stopped.value.code == 2
    assert f"--batch 1: on a CPU PyTorch's batch norm gives the layers of {name} wrong" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=f"{name}: its gradient is off"):
        layers.compare(64, 14, 1, 23, 1, CPU)
    monkeypatch.setattr(command, "installed", list)
    assert command._asked(["layers", "--batch", "1", "--device", "cpu"]).batch == 1


@pytest.mark.parametrize(
    ("arguments", "stages"),
    [([], ["CCCC", "CCLL", "LLLL"]), (["--all"], list(models.ALL.values())), (["--stages", "CLLL"], ["CCCC", "CLLL"])],
)
def test_which_networks(monkeypatch, arguments, stages):
    asked = {}
    monkeypatch.setattr(models, "compare", lambda *_, **options: asked.update(options))
    monkeypatch.setattr(report, "models", lambda found: "")
    command._models(command._parser().parse_args(["models", "--device", "cpu", *arguments]), CPU)
    assert list(asked["networks"].values()) == stages
    assert asked["precision"] == "float32"
    assert not asked["compile_too"]
