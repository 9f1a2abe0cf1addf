"""Commands that take long ask first: whether they can write what they find, and whether the file tells enough."""

import re
from argparse import ArgumentTypeError

import pytest

from lambda_core import build, data, evaluation, save_checkpoint
from lambda_core.arguments import writable
from lambda_core.attribution import __main__ as attribution
from lambda_core.benchmark import __main__ as benchmark
from lambda_core.engines import measure
from lambda_core.tables import __main__ as tables
from lambda_core.training import evaluate, halves

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


@pytest.mark.parametrize(
    ("main", "option"),
    [
        (evaluation.main, "--count"),
        (benchmark.main, "--repeats"),
        (measure.main, "--repeats"),
        (benchmark.main, "--batch"),
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
