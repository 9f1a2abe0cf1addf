"""What a command says of a run that is there already: whose it is, what it began from, what has changed since."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from lambda_core import load_checkpoint
from lambda_core.training import classify
from lambda_core.training.alone import LOCK, alone
from lambda_core.training.faults import TrainingStopped
from lambda_core.training.optimizing import schedule
from lambda_core.training.processes import accelerator_for
from tests import imagenette
from tests.tiny import TINY, equal

FIRST = replace(TINY, epochs=1)


@pytest.fixture
def begun(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def test_a_finished_run_says_so(begun, folder, capsys):
    classify.train(TINY, begun, folder, device="cpu")
    said = capsys.readouterr().err
    assert "this run is finished, all 3 epochs are done: more --epochs or another --out would train" in said


def test_what_a_run_has_begun_ends_with_it(folder, tmp_path, monkeypatch):
    """A signal that comes later is none of its own, and no curve is cut off."""
    closed = []
    writer = SimpleNamespace(close=lambda: closed.append(True))
    tensorboard = SimpleNamespace(SummaryWriter=lambda *_, **__: writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", tensorboard)
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]

    def asked_at_once(run):
        classify.leave_when_asked(run)
        signal.raise_signal(signal.SIGTERM)

    done = classify.train(TINY, tmp_path, folder, device="cpu", watch=asked_at_once)
    assert done == {"stopped": signal.SIGTERM, "epoch": 0, "step": 0} and closed == [True]
    assert [signal.getsignal(number) for number in numbers] == before


def test_weights_to_start_from_are_those_it_began_with(whole, begun, folder, tmp_path, capsys):
    file = str(whole / "last.safetensors")
    with pytest.raises(TrainingStopped, match=r"it was begun from random weights, not from --init last\.safetensors"):
        classify.train(replace(TINY, epochs=4), begun, folder, device="cpu", init=file)
    classify.train(FIRST, tmp_path / "second", folder, device="cpu", init=file)
    capsys.readouterr()
    classify.train(replace(TINY, epochs=2), tmp_path / "second", folder, device="cpu", init=file)
    said = capsys.readouterr().err
    assert "going on from epoch 1 of 2; it began from last.safetensors, so --init is not read again" in said


def test_a_file_is_no_folder_of_a_run(folder, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for out in (file, file / "run"):
        with pytest.raises(SystemExit, match=r"--out takes a folder, and .*file is a file"):
            classify.main(["digits", "--out", str(out), "--device", "cpu"])


def test_other_pictures_are_said_and_stand_on_the_card(folder, tmp_path, capsys):
    out, more = tmp_path / "run", imagenette.make(tmp_path / "more", train=5, val=2)
    classify.train(FIRST, out, folder, device="cpu")
    capsys.readouterr()
    classify.train(replace(TINY, epochs=2), out, more, device="cpu")
    assert "the data is not what this run saw before: 50 training pictures now" in capsys.readouterr().err
    changes = [{"after_epoch": 1, "epochs": 2, "training_pictures": 50}]
    rate = torch.load(out / "state.pt", weights_only=True)["optimizer"]["param_groups"][0]["lr"]
    assert rate == pytest.approx(TINY.lr * schedule(11, 12, TINY.warmup))  # the last of two epochs of six steps
    assert load_checkpoint(out / "last.safetensors").card["changes"] == changes


def test_a_state_that_does_not_tell_its_pictures_goes_on(folder, whole, tmp_path):
    classify.train(FIRST, tmp_path, folder, device="cpu")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["counts"], state["init"]
    state["recipe"]["epochs"] = TINY.epochs  # as if it had been cut
    torch.save(state, tmp_path / "state.pt")
    classify.train(TINY, tmp_path, folder, device="cpu", init="anything.safetensors")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["changes"] == []


HELD = """
import os, sys, time
from pathlib import Path
from lambda_core.training.alone import alone
from lambda_core.training.processes import accelerator_for
from tests.tiny import TINY

with alone(Path(sys.argv[1]), accelerator_for(TINY, "cpu")):
    child = os.fork() if sys.argv[2:] else os.getpid()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


@contextmanager
def held(*arguments):
    """Another process that holds a folder, with one argument more a child too, whose number it tells."""
    command, root = [sys.executable, "-c", HELD, *map(str, arguments)], Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_a_second_run_in_a_folder_is_refused_while_the_first_lives(folder, whole, tmp_path):
    with held(tmp_path):
        with pytest.raises(TrainingStopped, match=r"another run is training in .*: wait until it has ended, or choose"):
            classify.train(TINY, tmp_path, folder, device="cpu")
        assert [file.name for file in tmp_path.iterdir()] == [LOCK]
    classify.train(TINY, tmp_path, folder, device="cpu")
    assert equal(whole, tmp_path)


def test_what_a_lost_run_has_forked_does_not_hold_its_folder(tmp_path):
    """As processes that load pictures, which take seconds to see that their run is gone."""
    with held(tmp_path, "fork") as (process, child):
        process.kill()
        process.wait()
        try:
            with alone(tmp_path, accelerator_for(TINY, "cpu")):
                os.kill(child, 0)  # it lives
        finally:
            os.kill(child, signal.SIGKILL)


def test_another_class_is_said_before_the_count_that_follows_from_it(tmp_path):
    """Nobody typed num_classes."""

    def place(names):
        for split, name in ((split, name) for split in ("train", "val") for name in names):
            file = tmp_path / split / name / "0.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32)).save(file)
        return tmp_path

    few = replace(FIRST, data="imagefolder", overrides={**TINY.overrides}, batch=2)
    few.overrides.pop("num_classes")
    classify.train(few, tmp_path / "run", place("ab"), device="cpu")
    with pytest.raises(TrainingStopped, match="begun with the classes a, b, not a, b, c"):
        classify.train(few, tmp_path / "run", place("abc"), device="cpu")


def test_another_weight_decay_holds_from_there_on(folder, tmp_path):
    """As the card says."""
    classify.train(FIRST, tmp_path, folder, device="cpu")
    found = []

    def look(run):
        step = run.train_step
        run.train_step = lambda *given: (
            found.append([g["weight_decay"] for g in run.optimizer.param_groups]),
            step(*given),
        )[1]

    classify.train(replace(TINY, epochs=2, weight_decay=0.5), tmp_path, folder, device="cpu", watch=look)
    assert found and all(decays == [0.5, 0.0] for decays in found)
    card = load_checkpoint(tmp_path / "last.safetensors").card
    assert card["changes"] == [{"after_epoch": 1, "epochs": 2, "weight_decay": 0.5}]
