"""Whatever ends a run, the last good state is intact and the same command goes on as if nothing had been."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from lambda_core import data, load_checkpoint
from lambda_core.training import classify
from lambda_core.training.faults import TrainingStopped, write_atomically
from lambda_core.training.loop import Run
from tests import imagenette
from tests.tiny import TINY, equal, losses, weights

ROOT = Path(__file__).parents[1]


@contextmanager
def launched(out, folder, *, slow=0.0, processes=0, restarts=0, **changes):
    """The TINY run as a command of its own, on one process or under torchrun; each step takes `slow` seconds more."""
    program = ROOT / "tests" / "train_tiny.py"
    start = [sys.executable]
    if processes:
        start += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
        start += ["--max-restarts", str(restarts), "--monitor-interval", "0.2"]
    command = [*start, str(program), str(out), str(folder), str(slow), json.dumps(changes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True, "start_new_session": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            yield process
        finally:  # with all that it started
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(condition, process):
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_killed_at_any_step_and_asked_again(folder, whole, tmp_path):
    with launched(tmp_path, folder, slow=0.15) as process:
        wait_for(lambda: (tmp_path / "state.pt").exists(), process)
        time.sleep(0.12)  # into the next epoch
        process.kill()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["epoch"] < TINY.epochs
    classify.train(TINY, tmp_path, folder, device="cpu")
    assert equal(whole, tmp_path)


@pytest.mark.long
def test_asked_to_stop_it_saves_within_the_epoch_and_leaves(folder, whole, tmp_path):
    with launched(tmp_path, folder, slow=0.3, workers=1) as process:
        wait_for((tmp_path / "begun").exists, process)
        os.killpg(process.pid, signal.SIGTERM)  # the process that loads pictures too, as a service manager does it
        _, said = process.communicate(timeout=60)
    assert process.returncode == classify.STOPPED, said
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert 0 < state["begun"] < 5
    classify.train(TINY, tmp_path, folder, device="cpu")
    assert equal(whole, tmp_path)


def test_a_signal_that_comes_while_processes_ask_each_other_is_kept():
    """None leaves by it before all know of it."""

    def gather(asked):
        run.stop = signal.SIGTERM
        return torch.cat([asked, asked])

    run = SimpleNamespace(stop=0, device="cpu", accelerator=SimpleNamespace(num_processes=2, gather=gather))
    assert [Run.asked_to_stop(run) for _ in range(2)] == [False, True] and run.stop == signal.SIGTERM


def test_a_process_leaves_when_all_do_and_not_by_a_signal_of_its_own(folder, tmp_path):
    def as_one_of_several(run):
        check = run._check

        def told_meanwhile(losses):
            run.stop = signal.SIGTERM
            return check(losses)

        run._check, run.asked_to_stop = told_meanwhile, lambda: run.step == 12

    recipe = replace(TINY, batch=2, epochs=1)  # whose loss is looked at after step 10
    done = classify.train(recipe, tmp_path, folder, device="cpu", watch=as_one_of_several)
    assert done == {"stopped": signal.SIGTERM, "epoch": 0, "step": 12}


@pytest.mark.long
def test_what_is_drawn_at_random_is_drawn_again(folder, tmp_path):
    """Dropout, drop-path, mixup and cutmix depend on the number of the step, not on what was run before it."""
    overrides = {**TINY.overrides, "dropout": 0.3, "drop_path": 0.3}
    changes = json.loads(json.dumps({"overrides": overrides, "mixup": 0.4, "cutmix": 1.0, "randaugment": None}))
    (tmp_path / "cut").mkdir()
    with launched(tmp_path / "cut", folder, slow=0.3, **changes) as process:
        wait_for((tmp_path / "cut" / "begun").exists, process)
        process.send_signal(signal.SIGINT)  # Ctrl-C
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, said
    assert 0 < torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["begun"] < 5
    for name in ("cut", "whole"):
        classify.train(replace(TINY, **changes), tmp_path / name, folder, device="cpu")
    assert equal(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("part", ["evaluate", "export"])
def test_cut_after_the_last_step_of_an_epoch_it_ends_all_the_same(folder, whole, tmp_path, monkeypatch, part, epoch):
    """The pictures held out are looked at, and the weights written, by the command that goes on."""
    real, calls = getattr(classify, part), []

    def once(*arguments, **options):
        calls.append(1)
        if len(calls) == epoch:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(classify, part, once)
    with pytest.raises((OSError, TrainingStopped), match=r"No space left|could not be written: there is no room"):
        classify.train(TINY, tmp_path, folder, device="cpu")
    assert torch.load(tmp_path / "state.pt", weights_only=True)["epoch"] == epoch
    done = classify.train(TINY, tmp_path, folder, device="cpu")
    assert done["epoch"] == TINY.epochs and "val_top1" in done
    assert equal(whole, tmp_path)
    written = (tmp_path / "last.safetensors").stat().st_mtime_ns
    classify.train(TINY, tmp_path, folder, device="cpu")  # nothing is left to do
    assert (tmp_path / "last.safetensors").stat().st_mtime_ns == written


def test_the_card_tells_how_the_run_began_and_what_was_changed(folder, tmp_path):
    first = replace(TINY, epochs=1)
    classify.train(first, tmp_path / "a", folder, device="cpu")
    begin = str(tmp_path / "a" / "last.safetensors")
    classify.train(first, tmp_path / "b", folder, device="cpu", init=begin)
    for name, init in (("a", None), ("b", begin)):  # which is read at the beginning alone
        classify.train(replace(TINY, epochs=2, lr=1e-4), tmp_path / name, folder, device="cpu", init=init)
    cards = [load_checkpoint(tmp_path / name / "last.safetensors").card for name in "ab"]
    assert [card["init"] for card in cards] == ["random weights", "last.safetensors"]
    assert [card["changes"] for card in cards] == [[{"after_epoch": 1, "epochs": 2, "lr": 1e-4}]] * 2


def test_other_classes_do_not_go_on_from_a_state(folder, whole, tmp_path, monkeypatch):
    shutil.copytree(whole, tmp_path / "run")
    names = tuple(f"class {n}" for n in range(10))
    known = data.DATASETS["imagenette"]._replace(classes=names)
    monkeypatch.setitem(data.DATASETS, "imagenette", known)
    with pytest.raises(TrainingStopped, match=r"begun with the classes tench, .*, \.\.\., not class 0, class 1, "):
        classify.train(TINY, tmp_path / "run", folder, device="cpu")


def test_a_run_that_diverged_says_so(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(classify, "evaluate", lambda *_: {"top1": 10.0, "top5": 50.0, "loss": float("nan")})
    with pytest.raises(TrainingStopped, match=r"diverged: after epoch 1 .* is nan: begin again in another --out"):
        classify.train(TINY, tmp_path, folder, device="cpu")
    assert not (tmp_path / "last.safetensors").exists()


def test_equal_but_for_what_is_clipped(folder, tmp_path):
    for clip in (0.0, 1e9):
        classify.train(replace(TINY, epochs=1, clip=clip), tmp_path / str(clip), folder, device="cpu")
    assert equal(tmp_path / "0.0", tmp_path / "1000000000.0")


def equal_but_for_roundings(one, two):
    """Two processes with half the batch each add up the same numbers in another order: without mixup, cutmix, dropout
    and drop-path, for which each draws random numbers of its own."""
    for mine, theirs in zip(losses(one), losses(two), strict=True):
        assert float(mine) == pytest.approx(float(theirs), rel=1e-4)
    theirs = weights(two)
    for name, value in weights(one).items():
        torch.testing.assert_close(value, theirs[name], rtol=2e-3, atol=2e-4)


@pytest.mark.long
def test_two_processes_equal_one_whatever_is_lost_on_the_way(folder, whole, tmp_path):
    rank1 = tmp_path / "rank1"
    with launched(tmp_path, folder, processes=2, slow=0.2) as process:
        wait_for(lambda: (tmp_path / "state.pt").exists(), process)
        first = rank1.read_text()
        os.kill(int(first), signal.SIGKILL)
        process.communicate(timeout=100)
    assert process.returncode != 0, "the other process ends too"
    assert torch.load(tmp_path / "state.pt", weights_only=True)["epoch"] < TINY.epochs
    with launched(tmp_path, folder, processes=2, restarts=3, slow=0.05) as process:  # gloo may need a second try
        wait_for(lambda: rank1.read_text() not in (first, ""), process)
        second = rank1.read_text()
        os.kill(int(second), signal.SIGKILL)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert rank1.read_text() != second, "torchrun starts both again"
    assert "going on from epoch" in said
    equal_but_for_roundings(whole, tmp_path)
    for rank in (0, 1):  # a thread of gloo that outlives the training may abort the process as it ends
        assert "gloo" not in (tmp_path / f"threads{rank}").read_text()


def test_a_full_disk_is_said_and_the_last_state_stays(folder, tmp_path):
    with launched(tmp_path, folder, full_disk_after=1) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "could not be written: there is no room; the last good state.pt is intact" in said.splitlines()[-1]
    assert torch.load(tmp_path / "state.pt", weights_only=True)["epoch"] == 1
    assert not list(tmp_path.glob("*.part"))


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "state.pt"
    file.write_text("good")

    def fails(path):
        path.write_text("ha")
        raise OSError("power cut")

    with pytest.raises(TrainingStopped, match=r"power cut; the last good state\.pt is intact"):
        write_atomically(file, fails)
    assert file.read_text() == "good"
    (tmp_path / "state.pt.part").write_text("left behind")
    write_atomically(file, lambda path: path.write_text("new"))
    assert file.read_text() == "new"


def test_logs_that_a_lost_run_had_not_written_yet_are_written(folder, whole, tmp_path):
    """It was killed after the last state, before its logs."""
    run = shutil.copytree(whole, tmp_path / "run")
    *lines, _ = (run / "log.csv").read_text().splitlines()
    (run / "log.csv").write_text("\n".join(lines))
    for name in ("curve.csv", "last.safetensors"):
        (run / name).unlink()
    classify.train(TINY, run, folder, device="cpu")
    assert equal(whole, run) and (run / "curve.csv").read_text() == (whole / "curve.csv").read_text()


def test_only_options_that_are_there_are_a_way_out(tmp_path):
    with pytest.raises(TrainingStopped) as stopped:
        write_atomically(tmp_path / "nowhere" / "results.json", lambda path: path.write_text("{}"), "Make room")
    assert "--out" not in str(stopped.value) and "Make room, then run the same command again" in str(stopped.value)


def test_a_state_that_is_not_one_is_refused_and_left(folder, tmp_path):
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(TrainingStopped, match="not a state that this recipe can go on from"):
        classify.train(TINY, tmp_path, folder, device="cpu")
    assert (tmp_path / "state.pt").read_bytes() == b"not a state"


def test_a_nan_loss_stops_with_a_sentence_and_keeps_the_last_state(folder, tmp_path):
    classify.train(replace(TINY, epochs=1), tmp_path, folder, device="cpu")
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(TrainingStopped, match="last good state"):
        classify.train(replace(TINY, lr=1e30, epochs=2), tmp_path, folder, device="cpu")
    assert (tmp_path / "state.pt").read_bytes() == before


def test_a_corrupt_picture_is_named(tmp_path):
    root = imagenette.make(tmp_path)
    bad = next((root / "imagenette2-160" / "train").rglob("*.JPEG"))
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.raises(data.DataBroken, match=f"{bad.name} cannot be decoded"):
        classify.train(TINY, tmp_path / "run", root, device="cpu")


PROGRAM = """
import sys
from lambda_core.training import classify, loop

def fail(*_):
    raise RuntimeError("out of memory")

loop.Run.train_step = fail
classify.main(["digits", "--epochs", "1", "--out", sys.argv[1]])
"""


def test_a_run_that_fails_ends_with_the_processes_that_load(tmp_path):
    """They outlive a SIGTERM, which is how Python would end them, and for whose end it would wait."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 1 and "out of memory" in done.stderr


def test_other_steps_do_not_go_on_from_a_state(folder, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    state = (tmp_path / "run" / "state.pt").read_bytes()
    with pytest.raises(TrainingStopped, match=r"begun with batch=\d+, not 4.*choose another --out"):
        classify.train(replace(TINY, batch=4), tmp_path / "run", folder, device="cpu")
    assert (tmp_path / "run" / "state.pt").read_bytes() == state


def test_another_optimizer_does_not_go_on_from_a_state(whole, tmp_path, folder):
    shutil.copytree(whole, tmp_path / "run")
    with pytest.raises(TrainingStopped, match=r"begun with optimizer='adamw', not 'sgd'"):
        classify.train(replace(TINY, optimizer="sgd"), tmp_path / "run", folder, device="cpu")


def test_one_class_is_none_to_tell(tmp_path):
    for split in ("train", "val"):
        (tmp_path / split / "aa").mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / split / "aa" / "0.png")
    with pytest.raises(ValueError, match="a classifier needs two classes or more, and the data has 1"):
        classify.train(
            replace(TINY, data="imagefolder", batch=1, overrides={}), tmp_path / "out", tmp_path, device="cpu"
        )


def test_a_picture_that_is_a_bomb_is_named(tmp_path, monkeypatch):
    root = imagenette.make(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(data.DataBroken, match=r"JPEG cannot be decoded \(Image size .* exceeds limit"):
        classify.train(TINY, tmp_path / "run", root, device="cpu")


def test_what_cannot_run_is_refused_before_pictures_are_decoded(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "Repeatable", lambda *_, **__: pytest.fail("decoded"))
    (tmp_path / "state.pt").write_bytes(b"not a state")
    for changes, said in (
        ({"batch": 5000}, "pictures make no step of 5000"),
        ({"overrides": {**TINY.overrides, "num_classes": 9}}, "num_classes=9, and the data 10 classes"),
        ({}, "not a state that this recipe can go on from"),
    ):
        with pytest.raises((ValueError, TrainingStopped), match=said):
            classify.train(replace(TINY, **changes), tmp_path, folder, device="cpu")


def test_less_than_a_step_is_said(folder, tmp_path):
    with pytest.raises(ValueError, match="pictures make no step of 5000: take a smaller"):
        classify.train(replace(TINY, batch=5000), tmp_path, folder, device="cpu")


def test_train_and_val_must_have_the_same_classes(tmp_path):
    for split, names in (("train", ("aa", "bb")), ("val", ("aa", "cc"))):
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(4):
                Image.new("RGB", (32, 32), (40 * number, 0, 0)).save(tmp_path / split / name / f"{number}.png")
    with pytest.raises(ValueError, match=r"same classes, and `val` has no 'bb'"):
        classify.train(
            replace(TINY, data="imagefolder", batch=4, overrides={}), tmp_path / "out", tmp_path, device="cpu"
        )
