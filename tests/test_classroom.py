"""Training in the explorer: a run is a process of its own, bounded, that stops when asked and can be taken along."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer import jobs, lessons, ordering, pace, tiles
from explorer.architecture import Architecture, small
from explorer.theme import PALETTE
from lambda_core import build, load_checkpoint
from lambda_core.data import DATASETS
from lambda_core.training.classify import train
from lambda_core.training.config import RECIPES, changed
from lambda_core.training.evaluate import measure
from tests import imagenette
from tests.test_pages import start

PAGE = "../pages/training.py"
SMALL = (
    "overrides={'depths': (1, 1, 1), 'stages': 'CLL', 'widths': (8, 8, 8), 'strides': (1, 2, 1), "
    "'stem': ((3, 8, 1),), 'num_classes': 10, 'layer': {'scope': 3, 'dim_k': 4, 'heads': 2}}"
)
TINY = (
    "model=resnet26",
    "overrides={'depths': (1, 1, 1, 1), 'stages': 'CCLL', 'widths': (8, 8, 8, 8), 'stem': ((3, 8, 2),), "
    "'pool': False, 'layer': {'scope': 3, 'dim_k': 4, 'heads': 2}}",
    "size=32", "batch=16", "pictures=32", "held_out=12",
)  # fmt: skip
LOOKS = ("lambda_layer", "predictions", "attributions")  # pages that a network is taken to


def until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def done():
    """A run of two epochs, at its end."""
    job = jobs.create("digits", 2, (SMALL, "batch=64"))
    until(lambda: job.state != "running")
    assert job.state == "done", job.said
    yield job
    jobs.discard(job)
    assert not job.folder.exists()


def test_a_run_leaves_its_curves_and_its_networks(done):
    assert [row["epoch"] for row in done.log()] == [1, 2]
    assert done.curve()[-1]["step"] == 44
    assert list(done.kept()) == [1, 2]
    assert load_checkpoint(done.kept()[2]).classes == tuple("0123456789")


def test_its_page_shows_it_and_takes_it_along(done):
    app = start(PAGE, run=done.token)
    top1 = done.log()[-1]["val_top1"]
    assert any(f"{top1:.1f} %" in caption.value for caption in app.caption)
    assert any("address of this page is a link to the run" in caption.value for caption in app.caption)
    app.select_slider(key="epoch_shown").set_value(1).run()
    assert not app.exception
    step = next(button for button in app.button if button.label.startswith("Step through"))
    step.click().run()
    assert not app.exception
    assert app.session_state["checkpoint"].content == done.kept()[1].read_bytes()
    name = app.session_state["checkpoint"].name
    assert name == "digits, epoch 1.safetensors", "the name of the file that is kept, which exported programs read"
    assert app.session_state["selection"].image == "set"


def test_who_comes_back_sees_the_last_epoch_or_the_one_chosen(done, monkeypatch):
    kept = done.kept()
    monkeypatch.setattr(jobs.Job, "kept", lambda job: {1: kept[1]})
    app = start(PAGE, run=done.token)
    monkeypatch.setattr(jobs.Job, "kept", lambda job: kept)
    app.run()
    for epoch in (2, 1, 2):
        if app.select_slider(key="epoch_shown").value != epoch:
            app.select_slider(key="epoch_shown").set_value(epoch).run()
        app.switch_page("../pages/memory.py").run()
        app.switch_page(PAGE).run()
        assert not app.exception
        assert app.select_slider(key="epoch_shown").value == epoch


def test_only_a_run_that_is_under_way_goes_on_meanwhile(done, monkeypatch):
    def told():
        return " ".join(caption.value for caption in start(PAGE, run=done.token).caption)

    assert "every page" in told() and "goes on meanwhile" not in told()
    monkeypatch.setattr(jobs.Job, "state", "running")
    assert "goes on meanwhile" in told()


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def test_a_run_can_be_ordered_left_found_again_and_stopped_on_the_page():
    app = start(PAGE)
    app.radio(key="lesson").set_value("digits").run()
    app.slider(key="epochs_digits").set_value(2).run()
    press(app, "Train")
    job = jobs.find(app.session_state["run"])
    assert job.state == "running" and job.epochs == 2
    assert job.command == ["python", "-m", "lambda_core.training.classify", "digits", "--epochs", "2"]
    app.switch_page("../pages/home.py").run()
    app.query_params.clear()  # as the menu of the pages does
    app.switch_page(PAGE).run()
    assert job.token in app.query_params["run"]  # a text, or a list of one
    press(app, "Delete this run")
    assert job.process.poll() is not None
    assert not job.folder.exists() and jobs.find(job.token) is None
    assert any(button.label == "Train" for button in app.button)


@pytest.mark.parametrize(("state", "button"), [("running", "Leave this run"), ("paused", "Train another")])
def test_a_run_can_be_left_as_it_is_and_found_again(done, monkeypatch, state, button):
    """Whoever opens a shared link needs a way to a run of their own that harms nobody."""
    monkeypatch.setattr(jobs.Job, "state", state)
    app = press(start(PAGE, run=done.token), button)
    assert "run" not in app.query_params and any(button.label == "Train" for button in app.button)
    assert jobs.find(done.token) is done and done.folder.exists()
    press(app, "Back to the run that you left")
    assert app.session_state["run"] == done.token
    assert not any(button.label == "Train" for button in app.button)


@pytest.mark.parametrize(("state", "label"), [("running", "Stop and delete"), ("paused", "Delete")])
def test_deleting_asks_once(done, monkeypatch, state, label):
    monkeypatch.setattr(jobs.Job, "state", state)
    app = start(PAGE, run=done.token)
    assert label not in [button.label for button in app.button], "it only opens the question"
    assert [block.proto.popover.label for block in app.get("popover")].count(label) == 1
    assert any("for everyone who has its link" in text.value for text in app.markdown)
    assert "Delete this run" in [button.label for button in app.button]


@pytest.mark.long
def test_a_run_pauses_goes_on_and_leaves_when_its_server_is_gone():
    job = jobs.create("digits", 400, (SMALL, "batch=64"))
    try:
        until(lambda: len(job.log()) >= 1)
        jobs.pause(job)
        assert job.state == "paused"
        before = job.log()
        jobs.go_on(job)
        until(lambda: len(job.log()) > len(before))
        assert job.log()[: len(before)] == before
        job.process.stdin.close()  # as the system does for a server that was killed
        until(lambda: job.state == "paused")
    finally:
        jobs.discard(job)


def test_two_at_once_and_no_more(monkeypatch):
    class Endless:
        returncode = None

        def poll(self):
            return None

    busy = [jobs.Job(str(i), "digits", 1, (), None, Path("nowhere"), Endless()) for i in range(jobs.MOST)]
    monkeypatch.setattr(jobs, "_jobs", {job.token: job for job in busy})
    with pytest.raises(jobs.Busy, match="being trained on this server already") as refused:
        jobs.create("digits", 1)
    said = str(refused.value)
    assert "open the link" in said and "pause" not in said, "a run of others is not for everyone to pause"


def test_a_run_that_fails_says_why():
    job = jobs.create("digits", 1, ("lr=1e30", SMALL))
    try:
        until(lambda: job.state != "running")
        assert job.state == "failed"
        assert "the loss became" in job.said
    finally:
        jobs.discard(job)


def test_nobody_looks_so_it_pauses(monkeypatch):
    monkeypatch.setattr(jobs, "UNSEEN", 0.5)
    job = jobs.create("digits", 400, (SMALL, "batch=64"))
    try:
        until(lambda: job.state == "paused")
    finally:
        jobs.discard(job)


def test_a_run_that_was_discarded_does_not_go_on(monkeypatch):
    monkeypatch.setattr(jobs, "_jobs", {})
    monkeypatch.setattr(jobs, "_start", lambda job: None)
    job = jobs.create("digits", 1)
    jobs.discard(job)
    monkeypatch.setattr(jobs, "_start", lambda job: pytest.fail("a process in a folder that is gone"))
    jobs.go_on(job)


def test_runs_come_and_go_at_once(monkeypatch):
    """Both walk through all runs: without a lock one would see the other change them."""
    monkeypatch.setattr(jobs, "_jobs", {})
    monkeypatch.setattr(jobs, "_start", lambda job: [time.sleep(0) for _ in jobs._jobs.values()])
    kept = [jobs.create("digits", 1) for _ in range(8)]

    def come_and_go(_):
        jobs.discard(jobs.create("digits", 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(100)))
    assert set(jobs._jobs) == {job.token for job in kept}
    for job in kept:
        jobs.discard(job)


def test_what_cannot_start_leaves_no_folder(monkeypatch):
    monkeypatch.setattr(jobs.subprocess, "Popen", lambda *_, **__: (_ for _ in ()).throw(OSError("no processes left")))
    before = set(jobs._root[0].iterdir()) if jobs._root else set()
    with pytest.raises(OSError, match="no processes left"):
        jobs.create("digits", 1)
    assert set(jobs._root[0].iterdir()) == before


def test_folders_of_old_runs_give_way(monkeypatch):
    monkeypatch.setattr(jobs, "_jobs", {})
    monkeypatch.setattr(jobs, "_start", lambda job: None)
    monkeypatch.setattr(jobs, "KEPT", 3)
    made = [jobs.create("digits", 1) for _ in range(5)]
    assert [jobs.find(job.token) is job for job in made] == [False, False, True, True, True]
    assert [job.folder.exists() for job in made] == [False, False, True, True, True]
    for job in made:
        jobs.discard(job)


def test_a_link_to_a_run_that_is_gone_shows_the_form():
    app = start(PAGE, run="0123456789ab")
    assert any(button.label == "Train" for button in app.button)
    assert "run is gone" in app.info[0].value


def test_a_run_that_somebody_else_deleted_does_not_go_on():
    job = jobs.create("digits", 400, (SMALL, "batch=64"))
    try:
        jobs.pause(job)
        app = start(PAGE, run=job.token)
        assert not app.info
    finally:
        jobs.discard(job)
    press(app, "Go on")
    assert "run is gone" in app.info[0].value
    assert any(button.label == "Train" for button in app.button) and not job.folder.exists()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return imagenette.make(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(photographs, tmp_path_factory):
    """The folder of a run on photographs, at its end."""
    out = tmp_path_factory.mktemp("run")
    train(changed(RECIPES["photographs"], [*TINY, "epochs=1"]), out, photographs, device="cpu")
    return out


def test_without_data_there_are_digits_and_a_way_to_more(monkeypatch, tmp_path):
    monkeypatch.setenv("LAMBDA_DATA", str(tmp_path))
    app = start(PAGE)
    assert app.radio(key="lesson").options == ["Handwritten digits"]
    assert any("--download" in caption.value for caption in app.caption)


def test_photographs_are_offered_and_their_network_taken_to_other_pages(monkeypatch, photographs, trained):
    monkeypatch.setenv("LAMBDA_DATA", str(photographs))
    app = start(PAGE)
    assert app.radio(key="lesson").options == ["Handwritten digits", "Imagenette"]
    app.radio(key="lesson").set_value("imagenette").run()
    assert not app.exception
    assert app.select_slider(key="pictures_imagenette").options == ["40"]
    job = jobs.Job("photographs", "photographs", 1, TINY, str(photographs), trained)
    monkeypatch.setitem(jobs._jobs, job.token, job)
    app.query_params["run"] = job.token
    app.run()
    assert not app.exception
    assert any("12 pictures that are held out" in caption.value for caption in app.caption)
    press(app, "Step through this network")
    assert app.session_state["checkpoint"].content == job.kept()[1].read_bytes()
    for page in LOOKS:
        app.switch_page(f"../pages/{page}.py").run()
        assert not app.exception, page


def test_a_network_of_digits_goes_to_other_pages(done):
    app = press(start(PAGE, run=done.token), "Step through this network")
    for page in LOOKS[1:]:
        app.switch_page(f"../pages/{page}.py").run()
        assert not app.exception, page


def test_a_share_of_the_pictures_is_trained_on_and_measured_again(photographs, trained):
    file = str(trained / "last.safetensors")
    assert load_checkpoint(file).card["data"].endswith("trained on 32 pictures, measured on 12")
    again = measure(file, photographs, workers=0)
    assert again["images"] == 12
    (row,) = jobs.Job("", "photographs", 1, TINY, None, trained).log()
    assert again["loss"] == pytest.approx(row["val_loss"], rel=0.02)  # the file has halves


def spoil(root, how):
    place = root / "imagenette2-160"
    if how == "nothing in it":
        shutil.rmtree(place / "train")
        (place / "train").mkdir()
    elif how == "no val":
        shutil.rmtree(place / "val")
    elif how == "a class without pictures":
        for file in (place / "val" / imagenette.WNIDS[3]).iterdir():
            file.unlink()
    elif how == "damaged":
        for file in place.rglob("*.JPEG"):
            file.write_bytes(file.read_bytes()[:60])
    else:
        for folder in (place / "train").iterdir():
            next(folder.iterdir()).unlink()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("nothing in it", "`train` does not"),
        ("no val", "`val` does not"),
        ("a class without pictures", "`val` does not"),
        ("damaged", "damaged"),
        ("too few", "there are 30"),
    ],
)
def test_a_folder_that_cannot_be_used_gets_a_sentence(monkeypatch, tmp_path, how, words):
    monkeypatch.setenv("LAMBDA_DATA", str(tmp_path))
    spoil(imagenette.make(tmp_path), how)
    app = start(PAGE)
    app.radio(key="lesson").set_value("imagenette").run()
    assert not app.exception
    assert len(app.warning) == 1 and words in app.warning[0].value
    assert not any(button.label == "Train" for button in app.button)


def test_a_folder_whose_halves_have_other_classes_gets_a_sentence(tmp_path):
    place = imagenette.make(tmp_path) / "imagenette2-160"
    (place / "val" / imagenette.WNIDS[3]).rename(place / "val" / "a_[zebra]")
    with pytest.raises(lessons.Unfit, match="one lacks “a zebra”"):
        lessons.contents("imagefolder", str(place))


def test_pictures_held_out_mix_classes_and_keep_their_answers(photographs):
    titles = [lessons.held_out("imagenette", number, str(photographs)).title for number in range(20)]
    assert sorted(titles) == sorted([*DATASETS["imagenette"].classes] * 2)
    assert titles != sorted(titles, key=DATASETS["imagenette"].classes.index)
    digit = lessons.held_out("digits", 3, "")
    assert digit.image.mode == "RGB" and digit.image.size == (8, 8)
    assert digit.title in [f"A handwritten {n}" for n in range(10)]


def test_the_time_is_the_sum_of_its_parts(photographs):
    recipe = replace(changed(RECIPES["photographs"], list(TINY)), epochs=3)
    assert pace.Pace(0.5, 2.0, 0.25).run(recipe) == 32 * 0.5 + 3 * (32 * 2.0 + 12 * 0.25)
    found = pace.measure(recipe, DATASETS["imagenette"].load("train", photographs), 10)
    assert 0 < found.answer < 1 and 0 < found.learn < 1 and 0 < found.read < 1


@pytest.mark.parametrize(("name", "side"), [(name, lesson.side) for name, lesson in lessons.LESSONS.items()])
def test_an_architecture_fits_the_pictures_of_each_lesson(monkeypatch, name, side):
    sent = small(Architecture("resnet26", "CCLL", scope=0))
    monkeypatch.setattr(ordering.st, "session_state", {"architecture": sent})
    for part in ("markdown", "button"):
        monkeypatch.setattr(ordering.st, part, lambda *_, **__: None)
    model, overrides = ordering._brought(side)
    network = build(model, num_classes=7, **overrides).eval()
    seen = []
    network.stages[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[-1]))
    assert network(torch.zeros(1, 3, side, side)).shape == (1, 7)
    assert seen == [ordering.MAP]


def test_tiles_are_zero_centred_and_symmetric():
    drawn = tiles.signed(np.array([-2.0, 0.0, 2.0, 9.0]), "position", 2.0)
    for pixel, name in zip(drawn, ("minus", "zero", "position", "position"), strict=True):
        assert "#" + bytes(pixel.tolist()).hex().upper() == PALETTE["light"][name]
