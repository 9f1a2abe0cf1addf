"""The networks of the ablations, and what of them is kept."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lambda_core import LambdaLayer, build, load_checkpoint
from lambda_core.checkpoints import files
from lambda_core.tables import compare, figures
from lambda_core.training import ablation_table, ablations, classify, publish
from lambda_core.training.ablations import ABLATIONS
from lambda_core.training.faults import TrainingStopped
from tests import ablation_results, imagenette
from tests.processes import called, lost


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_network_is_small_and_trains(name):
    recipe = ABLATIONS[name].recipe()
    model = build(recipe.model, **recipe.overrides).train()
    assert sum(p.numel() for p in model.parameters()) <= 2_000_000
    model(torch.randn(2, 3, recipe.size, recipe.size)).square().sum().backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert not unused


def test_they_differ_from_the_base_as_their_names_say():
    def shapes(name):
        recipe = ABLATIONS[name].recipe()
        return {n: tuple(p.shape) for n, p in build(recipe.model, **recipe.overrides).named_parameters()}

    base = shapes("micro_ccll")
    assert base.keys() - shapes("micro_content").keys() == {n for n in base if n.endswith("embeddings")}
    assert base.keys() - shapes("micro_position").keys() == {n for n in base if n.endswith("to_k.weight")}
    recipe = ABLATIONS["micro_position"].recipe()
    lambdas = [m for m in build(recipe.model, **recipe.overrides).modules() if hasattr(m, "key_norm")]
    assert lambdas and not any(layer.content for layer in lambdas)
    assert {shape[-1] for n, shape in shapes("micro_scope7").items() if n.endswith("embeddings")} == {7}


def test_rows_are_rows_of_the_paper_and_taken_once():
    rows = [row for ablation in ABLATIONS.values() for row in ablation.rows]
    assert len(rows) == len(set(rows))
    for table, row in rows:
        assert ("top1", row) in {(figure.metric, figure.row) for figure in compare(table)}


@pytest.fixture
def short(tmp_path, monkeypatch):
    """A recipe of one epoch for the base alone, with a zoo and results of its own."""
    tiny = {"depths": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "stem": ((3, 8, 2), (3, 8, 2)), "num_classes": 10}
    shared = replace(ablations.SHARED, overrides=tiny, size=32, epochs=1, batch=8, precision="float32")
    monkeypatch.setattr(ablations, "SHARED", shared)
    for module in (files, publish):
        monkeypatch.setattr(module, "ZOO", tmp_path)
    results = tmp_path / "results" / "ablations.json"
    results.parent.mkdir()
    (results.parent / "paper.json").write_text(json.dumps(figures.published()))
    monkeypatch.setattr(ablations, "RESULTS", results)
    monkeypatch.setattr(figures, "RESULTS", results.parent)
    return tmp_path


def test_a_network_is_trained_once_and_stands_beside_the_paper(short, monkeypatch):
    data = imagenette.make(short / "data")
    command = ["--data", str(data), "--out", str(short / "runs"), "--device", "cpu", "--only", "micro_ccll"]
    ablations.main(command)
    found = json.loads(ablations.RESULTS.read_text())
    (network,) = found["networks"]
    (run,) = network["runs"]
    assert network["name"] == "micro_ccll" and network["top1"] == run["top1"] and network["spread"] == 0
    assert run["history"][0]["epoch"] == 1 and run["history"][0]["val_loss"] < 10
    card = load_checkpoint("micro_ccll").card
    assert card["metrics"]["val_top1"]["value"] == round(run["top1"], 2)
    assert card["command"] == "python -m lambda_core.training.ablations --data DIR --only micro_ccll"
    beside = {figure.row: figure for figure in compare("placement") if figure.metric == "top1"}
    assert beside["CCLL"].measured == pytest.approx(run["top1"], abs=0.05) and "1 seed" in beside["CCLL"].measured_on

    def never(*_args, **_options):
        raise AssertionError("trained twice")

    with monkeypatch.context() as patch:
        patch.setattr(ablations, "train", never)
        ablations.main(command)
    ablations.main([*command, "--seeds", "2"])
    (network,) = json.loads(ablations.RESULTS.read_text())["networks"]
    assert [run["seed"] for run in network["runs"]] == [0, 1]
    # a field that recipes had not yet then has its default now; results of another recipe are not carried on
    found = json.loads(ablations.RESULTS.read_text())
    del found["recipe"]["ending"]
    ablations.RESULTS.write_text(json.dumps(found))
    assert ablations.trained().keys() == {"micro_ccll"}
    monkeypatch.setattr(ablations, "SHARED", replace(ablations.SHARED, lr=1e-4))
    assert ablations.trained() == {}


def test_what_is_missing_is_listed_seed_by_seed():
    found = {"a": {0: {}}, "b": {1: {}}}
    assert list(ablations.missing(["a", "b"], 2, found)) == [(0, "b"), (1, "a")]


def test_without_pictures_one_sentence(short):
    with pytest.raises(SystemExit, match="Imagenette") as stopped:
        ablations.main(["--data", str(short / "nothing"), "--only", "micro_ccll"])
    assert stopped.value.code == 2 and "--download" not in str(stopped.value)  # which this command does not have


def test_only_runs_with_a_card_are_published(short):
    file = short / "bare.safetensors"
    files.save_checkpoint(file, build("lambda_resnet_mini"), architecture={"name": "lambda_resnet_mini"})
    with pytest.raises(SystemExit, match=r"bare\.safetensors"):
        publish.main([str(file), "new"])
    with pytest.raises(SystemExit, match="there is no checkpoint") as stopped:
        publish.main([str(short / "none.safetensors"), "new"])
    assert stopped.value.code == 2
    assert not (short / "new.safetensors").exists()


def results(tmp_path, monkeypatch):
    """A base of two seeds, one network far below, one within the noise, one above where the paper's is below."""
    return ablation_results.make(
        tmp_path / "results", monkeypatch,
        {"micro_ccll": (80.0, 81.0), "micro_content": (70.0, 70.5), "micro_cccc": (80.0, 80.4),
         "micro_scope3": (84.0, 84.0), "micro_l2": (79.0,), "micro_attention": (75.0, 75.0)},
    )  # fmt: skip


def test_the_table_tells_what_repeats(tmp_path, monkeypatch):
    results(tmp_path, monkeypatch)
    found = {(line.name, line.table): line for line in ablation_table.lines(ablations.report())}
    content = found["micro_content", "content_vs_position"]
    deviation = ((0.5**2 * 2 + 0.25**2 * 2 + 0.2**2 * 2) / 5) ** 0.5  # five networks with two seeds each
    printed = ablation_table.paper()
    assert content.change == pytest.approx(70.25 - 80.5) and content.noise == pytest.approx(2 * deviation)
    assert content.paper == printed["content_vs_position", "content"]
    assert content.paper_change == content.paper - printed["content_vs_position", "content and position"]
    said = {name: line.repeats for (name, _), line in found.items()}
    assert said == {
        "micro_ccll": "–", "micro_content": "yes", "micro_cccc": "within the noise", "micro_scope3": "no",
        "micro_l2": "yes", "micro_attention": "–",
    }  # fmt: skip
    assert {table for name, table in found if name == "micro_cccc"} == {"layers", "placement"}


def test_the_table_is_markdown(tmp_path, monkeypatch, capsys):
    results(tmp_path, monkeypatch)
    ablations.main(["--table"])
    head, marks, base, *rows = capsys.readouterr().out.splitlines()
    assert base.startswith("| `micro_ccll` |") and "| 80.5 | 1.0 | the base |" in base
    assert {line.count(" | ") for line in (head, marks, base)} == {len(ablation_table.HEADINGS) - 1}
    assert any("| −10.2 | content_vs_position: content | 68.8 | −9.6 | yes |" in row for row in rows)
    ablations.RESULTS.unlink()
    ablations.main(["--table"])
    assert capsys.readouterr().out.strip() == ablations.NOTHING


def test_the_readmes_table_is_the_one_that_is_printed():
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    found = ablations.report()
    assert (ablations.NOTHING if found is None else ablation_table.markdown(found)) in readme


def test_the_largest_map_of_a_lambda_layer():
    recipe = ABLATIONS["micro_ccll"].recipe()
    model, sides = build(recipe.model, **recipe.overrides).eval(), set()
    for layer in model.modules():
        if isinstance(layer, LambdaLayer):
            layer.register_forward_hook(lambda _layer, inputs, _output: sides.add(inputs[0].shape[-1]))
    model(torch.randn(1, 3, recipe.size, recipe.size))
    assert max(sides) == ablations.LARGEST_MAP


def test_a_published_run_is_recorded_once(short):
    data = imagenette.make(short / "data")
    run = short / "run"
    shared = ablations.SHARED
    classify.train(replace(shared, model="lambda_resnet_mini"), run, data, device="cpu", command="as typed")
    results = short / "flagship.json"
    twin = [str(run / "last.safetensors"), "twin", "--data", str(data), "--results", str(results)]
    publish.main(twin)
    with pytest.raises(SystemExit, match="the zoo has twin already: choose another name, or add --replace"):
        publish.main(twin)
    publish.main([*twin, "--replace"])
    (network,) = json.loads(results.read_text())["networks"]
    assert (network["name"], network["command"], len(network["runs"])) == ("twin", "as typed", 1)
    assert network["runs"][0]["history"][0]["val_loss"] < 10
    publish.main(
        [str(run / "last.safetensors"), "other", "--data", str(data), "--results", str(results), "--results-only"]
    )
    assert [row["name"] for row in json.loads(results.read_text())["networks"]] == ["twin", "other"]
    assert not (short / "other.safetensors").exists()
    assert load_checkpoint("twin").card["metrics"]["val_top1"]["value"] == round(network["top1"], 2)


def test_what_could_not_be_published_is_told_before_anything_is_written(short, capsys):
    file = short / "last.safetensors"
    files.save_checkpoint(
        file, build("lambda_resnet_mini"), architecture={"name": "lambda_resnet_mini"}, card={"recipe": {}}
    )
    for name in ("../up", "a-b", "1st", "", "a.b"):
        with pytest.raises(SystemExit, match="is no name: take letters, digits and underscores, a letter first"):
            publish.main([str(file), name])
    with pytest.raises(SystemExit) as stopped:
        publish.main([str(file), "new", "--results", str(short / "nowhere" / "found.json")])
    assert stopped.value.code == 2 and "there is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"--results needs the history of the run, and there is no .*log\.csv"):
        publish.main([str(file), "new", "--results", str(short / "found.json")])
    (short / "log.csv").touch()
    (short / "found.json").write_text("no JSON")
    with pytest.raises(SystemExit, match=r"found\.json holds no results: give --results another file"):
        publish.main([str(file), "new", "--results", str(short / "found.json")])
    (short / "found.json").unlink()
    with pytest.raises(SystemExit, match=r"lacks command, data, epochs, seed: give the last\.safetensors"):
        publish.main([str(file), "new", "--results", str(short / "found.json"), "--results-only"])
    with pytest.raises(SystemExit, match="Imagenette is not in") as missing:
        publish.main([str(file), "new", "--data", str(short / "nothing")])
    assert "--download" not in str(missing.value)
    assert not (short / "new.safetensors").exists()


@pytest.mark.long
def test_several_at_a_time_each_in_a_process_of_its_own():
    jobs = [(0, "one"), (0, "two"), (1, "one")]
    found = list(ablations.each(jobs, 2, called, "word"))
    assert sorted(row[:3] for _, row in found) == [("one", 0, "word"), ("one", 1, "word"), ("two", 0, "word")]
    assert all(name == row[0] and row[3] != os.getpid() for name, row in found)
    assert [row[3] for _, row in ablations.each(jobs, 1, called, "word")] == [os.getpid()] * 3


def test_a_lost_process_ends_in_a_sentence():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingStopped, match="the same command goes on"):
        list(ablations.each([(0, "one")], 2, lost))
    assert signal.getsignal(signal.SIGTERM) is before


class AtOnce:
    """A pool whose calls are done as they are submitted."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, call, *arguments):
        future = Future()
        future.set_result(call(*arguments))
        return future

    def shutdown(self, **_):
        pass


@pytest.mark.parametrize("told", [lambda: int(signal.SIGTERM), lambda: signal.raise_signal(signal.SIGTERM)])
def test_after_a_stop_none_of_several_begins(told, monkeypatch):
    """One of them was asked to stop, or the process that began them."""
    monkeypatch.setattr(ablations, "ProcessPoolExecutor", AtOnce)
    begun = []

    def one(name, seed):
        begun.append(name)
        return told() if name == "d" else None

    found = dict(ablations.each([(0, name) for name in "abcdefgh"], 2, one))
    assert begun == list("abcd")
    assert list(filter(None, found.values())) and set(found) - set("abcd") == {"e"}


def test_a_stop_is_the_status_and_none_begins_after_it(tmp_path, monkeypatch):
    results(tmp_path, monkeypatch)
    begun = []
    monkeypatch.setattr(ablations, "train", lambda name, *_: begun.append(name) or signal.SIGINT)
    with pytest.raises(SystemExit) as stopped:
        ablations.main(["--only", "micro_llll", "micro_cccl"])
    assert stopped.value.code == 128 + signal.SIGINT and begun == ["micro_llll"]


@pytest.mark.parametrize("earlier", [[], [signal.SIGINT]])
def test_a_stop_that_finds_no_step_to_end_is_one_all_the_same(earlier, tmp_path, monkeypatch):
    """It came while the pictures held out were looked at for the last time, or before the run."""

    def train(*_, watch, **__):
        run = SimpleNamespace(stop=0)
        watch(run)
        run.stop = run.stop if earlier else signal.SIGINT
        return {"epoch": 10}

    monkeypatch.setattr(classify, "train", train)
    monkeypatch.setattr(classify, "leave_when_asked", lambda run: None)
    monkeypatch.setattr(ablations, "ASKED", earlier)
    assert ablations.train("micro_ccll", 0, tmp_path, None) == signal.SIGINT


OTHER = """
import fcntl, json, pathlib, sys, time
file = pathlib.Path(sys.argv[1])
with file.with_name(".lock").open("a") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    found = json.loads(file.read_text())
    time.sleep(0.3)
    found["networks"].append({**found["networks"][0], "name": "micro_cccl"})
    file.with_suffix(".new").write_text(json.dumps(found))
    file.with_suffix(".new").replace(file)
"""


def test_two_commands_that_end_together_both_leave_what_they_found(tmp_path, monkeypatch):
    results(tmp_path, monkeypatch)
    row = {"top1": 70.0, "loss": 1.0, "history": []}
    monkeypatch.setattr(ablations, "train", lambda name, seed, *_: row | {"seed": seed})
    command = [sys.executable, "-c", OTHER, str(ablations.RESULTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        ablations.main(["--only", "micro_llll"])
    assert {"micro_cccl", "micro_llll"} <= ablations.trained().keys()


@pytest.mark.parametrize("count", ["0", "-2", "two"])
def test_no_seeds_are_refused(capsys, count):
    with pytest.raises(SystemExit) as stopped:
        ablations.main(["--seeds", count])
    assert stopped.value.code == 2
    assert f"--seeds: {count!r} is no count: take 1 or more" in capsys.readouterr().err


def test_fewer_than_one_at_a_time_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        ablations.main(["--jobs", "0"])
    assert stopped.value.code == 2
    assert "--jobs: '0' is no count: take 1 or more" in capsys.readouterr().err


def test_what_has_been_trained_already_is_said(tmp_path, monkeypatch, capsys):
    results(tmp_path, monkeypatch)
    monkeypatch.setattr(ablations, "train", lambda *_: pytest.fail("trained again"))
    ablations.main(["--only", "micro_l2"])
    assert capsys.readouterr().out == "micro_l2 has been trained with 1 seed: --seeds N trains more\n"
    ablations.main(["--only", "micro_l2", "micro_ccll", "micro_cccc", "--jobs", "2"])
    assert capsys.readouterr().out.splitlines() == [
        "micro_l2 has been trained with 1 seed: --seeds N trains more",
        "micro_ccll, micro_cccc have been trained with 2 seeds: --seeds N trains more",
    ]
