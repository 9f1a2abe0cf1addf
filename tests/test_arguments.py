"""Commands that take long ask first: whether they can write what they find, and whether the file tells enough."""

import argparse
import errno
import json
import os
import pathlib
import re
from argparse import ArgumentTypeError
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lambda_core import build, check, data, evaluation, load_checkpoint, predict, save_checkpoint, step_time
from lambda_core.arguments import command, writable, write_json
from lambda_core.attribution import __main__ as attribution
from lambda_core.benchmark import __main__ as benchmark
from lambda_core.checkpoints import fingerprint, zoo
from lambda_core.engines import measure
from lambda_core.tables import __main__ as tables
from lambda_core.training import ablations, average, classify, evaluate, halves, publish

MEASURES = {
    "evaluation": evaluation.main,
    "attribution": lambda arguments: attribution.main(["--checkpoint", *arguments]),
    "training.evaluate": evaluate.main,
    "training.halves": halves.main,
}
COMMANDS = {name: (main, ["lambda_resnet_mini"]) for name, main in MEASURES.items()} | {
    "tables": (tables.main, []),
    "benchmark": (benchmark.main, ["models"]),
    "engines.measure": (measure.main, []),
}
MODULES = {
    "check": check, "evaluation": evaluation, "predict": predict, "step_time": step_time, "attribution": attribution,
    "benchmark": benchmark, "engines.measure": measure, "tables": tables,
    **{f"training.{each.__name__.rpartition('.')[2]}": each
       for each in (ablations, average, classify, evaluate, halves, publish)},
}  # fmt: skip


@pytest.mark.parametrize(
    ("main", "option"),
    [
        (evaluation.main, "--count"),
        (benchmark.main, "--repeats"),
        (measure.main, "--repeats"),
        (benchmark.main, "--batch"),
        (attribution.main, "--repeats"),
    ],
)
@pytest.mark.parametrize("text", ["0", "-3", "two", "1.5"])
def test_what_is_no_count_is_said(main, option, text, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*(["layers"] if main is benchmark.main else ["x"] * (main is evaluation.main)), option, text])
    assert stopped.value.code == 2 and "is no count: take 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("place", "reason"), [("no/such/folder/x.json", "there is no folder '.*such/folder'"), ("", "it is a folder")]
)
def test_a_file_that_cannot_be_written(name, place, reason, tmp_path, capsys):
    main, arguments = COMMANDS[name]
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--json", str(tmp_path / place)])
    assert stopped.value.code == 2  # 1 would say that a figure is wrong
    out, err = capsys.readouterr()
    assert not out
    assert re.search(rf"argument --json: '.*' cannot be written: {reason}", err)


def test_a_dash_is_no_file():
    with pytest.raises(ArgumentTypeError, match="'-' is no file: give one a name"):
        writable("-")


@pytest.mark.parametrize("name", MEASURES)
def test_weights_that_do_not_say_how_a_picture_is_prepared(name, folder, tmp_path, monkeypatch):
    architecture = {"name": "lambda_resnet_micro", "overrides": {"num_classes": 10}}
    model = build(architecture["name"], **architecture["overrides"])
    file = tmp_path / "bare.safetensors"
    save_checkpoint(file, model, architecture=architecture, classes=data.IMAGENETTE_CLASSES)
    monkeypatch.setenv("LAMBDA_DATA", str(folder))
    with pytest.raises(SystemExit, match="does not say how a picture is prepared"):
        MEASURES[name]([str(file)])


@pytest.mark.parametrize("name", [*MEASURES, "training.average", "predict"])
def test_a_checkpoint_that_is_not_there_has_one_status(name, tmp_path, capsys):
    """2, as of any argument that cannot be used: 1 would say that a figure is wrong."""
    arguments = {
        "training.average": ["nothing", "nothing", "--out", str(tmp_path / "mean.safetensors")],
        "predict": ["picture.jpg", "--checkpoint", "nothing"],
    }
    main = MEASURES.get(name) or MODULES[name].main
    with pytest.raises(SystemExit) as stopped:
        main(arguments.get(name, ["nothing"]))
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("there is no checkpoint 'nothing'") and err.count("\n") == 1


@pytest.mark.parametrize("name", ["evaluation", "training.evaluate", "training.halves", "training.publish"])
@pytest.mark.parametrize("text", ["-1", "two"])
def test_what_is_no_number_of_workers_is_said(name, text, capsys):
    with pytest.raises(SystemExit) as stopped:
        MODULES[name].main([*["lambda_resnet_mini", "new"][: 1 + (name == "training.publish")], "--workers", text])
    assert stopped.value.code == 2
    assert f"argument --workers: {text!r} is no count: take 0 or more" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["evaluation", "engines.measure"])
@pytest.mark.parametrize("content", [b"no JSON", b"[]", b"", b"\xff"])
def test_a_file_without_figures_is_refused_before_any_are_measured(name, content, tmp_path, monkeypatch, capsys):
    main, arguments = COMMANDS[name]
    monkeypatch.setattr(MODULES[name], "measure", lambda *_: pytest.fail("measured"))
    file = tmp_path / "found.json"
    file.write_bytes(content)
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--json", str(file)])
    assert stopped.value.code == 2
    assert "found.json' holds no figures that others could stand beside: name another" in capsys.readouterr().err
    assert file.read_bytes() == content


@pytest.mark.parametrize("module", [evaluation, halves])
def test_figures_name_weights_that_are_no_file_here(module, tmp_path, monkeypatch):
    """As of timm/NAME, which a package fetches: by their numbers."""
    loaded, file = load_checkpoint("micro_ccll"), tmp_path / "found.json"
    monkeypatch.setattr(module, "opened", lambda name, device: loaded)
    report = {"top1": 1.0, "standard_error": 0.1, "images": 2, "calibration": {"ece": 0.1}}
    strange = {"auroc": {}, "score": "energy", "mark": 0.0, "refused_inside": 0.0, "refused_outside": 0.0, "outside": 9}
    monkeypatch.setattr(module, "measure", lambda *_: report | {"unfamiliar": strange})

    def named(name):
        file.unlink(missing_ok=True)
        module.main([name, "--json", str(file)])
        found = json.loads(file.read_text())
        return found.get(name, found)["weights"]

    before = named("timm/lambda_resnet26t.c1_in1k")
    assert re.fullmatch("[0-9a-f]{16}", before) and named("timm/lambda_resnet26t.c1_in1k") == before
    with torch.no_grad():
        next(loaded.model.parameters()).view(-1)[0] += 1
    assert named("timm/lambda_resnet26t.c1_in1k") != before
    assert named("micro_ccll") == fingerprint(zoo()["micro_ccll"])


@pytest.mark.parametrize("module", [evaluation, halves])
def test_the_network_is_measured_on_the_device_that_is_named(module, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "usable_device", str)  # this machine may have none but a CPU

    def opened(name, device):
        asked.append(device)
        raise ValueError("enough")

    monkeypatch.setattr(module, "opened", opened)
    for arguments in ([], ["--device", "cuda:1"]):
        with pytest.raises(SystemExit, match="enough"):
            module.main(["lambda_resnet_mini", *arguments])
    assert asked == ["cpu", "cuda:1"]


@pytest.mark.parametrize("name", MODULES)
def test_every_option_is_described_and_the_text_keeps_its_lines(name, monkeypatch):
    asked = []

    def parse(parser, arguments=None, namespace=None):
        asked.append(parser)
        raise SystemExit

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    with pytest.raises(SystemExit):
        MODULES[name].main([])
    (parser,) = asked
    assert parser.prog == f"python -m lambda_core.{name}"
    assert not [action.dest for action in parser._actions if not action.help]
    assert {action.metavar for action in parser._actions if action.dest == "json"} <= {"FILE"}
    assert parser.description in parser.format_help()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["layers", "--note", "two words, 5 °C"], "layers --note 'two words, 5 °C'"),
        (["a b.pt", "--data", "/home/me/d", "--count", "9"], "'a b.pt' --data DIR --count 9"),
        (["x", "--da=/home/me/d", "--js", "f.json", "--workers", "0"], "x --da=DIR --workers 0"),
        (["x", "--json=f.json", "--d", "cuda:1"], "x --d cuda:1"),
    ],
)
def test_a_command_can_be_typed_again(given, shown):
    assert command("python -m lambda_core.some", given) == f"python -m lambda_core.some {shown}"


def test_figures_are_written_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    file, link = tmp_path / "found.json", tmp_path / "link.json"
    write_json(file, {"a": 1})
    link.symlink_to(file)
    write_json(link, {"b": "λ"}, beside=True)
    assert link.is_symlink() and json.loads(file.read_text()) == {"a": 1, "b": "λ"}
    before = file.read_text()

    def full(path, text, encoding):
        with path.open("w") as opened:
            opened.write(text[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", full)
    with pytest.raises(SystemExit, match=r"found\.json could not be written: No space left on device; make room"):
        write_json(file, {"c": 2})
    assert file.read_text() == before and sorted(tmp_path.iterdir()) == [file, link]


def test_figures_can_be_written_where_no_file_can_take_anothers_place(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        write_json(pipe, {"a": 1})
        assert json.loads(read.result()) == {"a": 1}
    assert pipe.is_fifo()
    write_json(pathlib.Path("/dev/null"), {"a": 1})


def test_a_file_that_lost_its_figures_meanwhile_is_left(tmp_path):
    file = tmp_path / "found.json"
    file.write_text("no JSON")
    with pytest.raises(SystemExit, match="could not be written"):
        write_json(file, {"a": 1}, beside=True)
    assert file.read_text() == "no JSON"


def test_the_device_is_told_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "run", lambda device: {"engines": [], "layers": [], "training": []})
    monkeypatch.setattr(check, "usable_device", str)  # this machine may have none but a CPU
    monkeypatch.setattr(check, "device_name", str)
    check.main(["--device", "cuda:1", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["command"] == "python -m lambda_core.check --device cuda:1"
