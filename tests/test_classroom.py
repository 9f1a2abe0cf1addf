"""Training in the explorer: a run is a process of its own, bounded, that stops when asked and can be taken along."""

import time
from pathlib import Path

import numpy as np
import pytest

from explorer import forming, jobs, tiles
from explorer.theme import PALETTE
from lambda_core import load_checkpoint
from tests.test_pages import start

PAGE = "../pages/training.py"
SMALL = (
    "overrides={'depths': (1, 1, 1), 'stages': 'CLL', 'widths': (8, 8, 8), 'strides': (1, 2, 1), "
    "'stem': ((3, 8, 1),), 'num_classes': 10, 'layer': {'scope': 3, 'dim_k': 4, 'heads': 2}}"
)


def until(condition, seconds=120):
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
    app.select_slider(key="epoch_shown").set_value(1).run()
    assert not app.exception
    step = next(button for button in app.button if button.label.startswith("Step through"))
    step.click().run()
    assert not app.exception
    assert app.session_state["checkpoint"].content == done.kept()[1].read_bytes()
    assert app.session_state["selection"].image == "upload"


def test_a_run_can_be_ordered_and_discarded_on_the_page():
    app = start(PAGE)
    app.slider[0].set_value(2)
    next(button for button in app.button if button.label == "Train").click().run()
    assert not app.exception
    job = jobs.find(
        app.query_params["run"][0] if isinstance(app.query_params["run"], list) else app.query_params["run"]
    )
    assert job.state == "running" and job.epochs == 2
    next(button for button in app.button if button.label == "Discard").click().run()
    assert not app.exception
    assert job.state == "failed" or job.process.poll() is not None
    assert not job.folder.exists() and jobs.find(job.token) is None
    assert any(button.label == "Train" for button in app.button)


def test_a_run_pauses_and_goes_on():
    job = jobs.create("digits", 400, (SMALL, "batch=64"))
    try:
        until(lambda: len(job.log()) >= 1)
        jobs.pause(job)
        assert job.state == "paused"
        before = job.log()
        jobs.go_on(job)
        until(lambda: len(job.log()) > len(before))
        assert job.log()[: len(before)] == before
    finally:
        jobs.discard(job)


def test_two_at_once_and_no_more(monkeypatch):
    class Endless:
        returncode = None

        def poll(self):
            return None

    busy = [jobs.Job(str(i), "digits", 1, (), None, Path("nowhere"), Endless()) for i in range(jobs.MOST)]
    monkeypatch.setattr(jobs, "_jobs", {job.token: job for job in busy})
    with pytest.raises(jobs.Busy, match="being trained on this server already"):
        jobs.create("digits", 1)


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


def test_a_link_to_a_run_that_is_gone_shows_the_form():
    app = start(PAGE, run="0123456789ab")
    assert any(button.label == "Train" for button in app.button)


def test_tiles_are_zero_centred_and_symmetric():
    drawn = tiles.signed(np.array([-2.0, 0.0, 2.0, 9.0]), "position", 2.0)
    for pixel, name in zip(drawn, ("minus", "zero", "position", "position"), strict=True):
        assert "#" + bytes(pixel.tolist()).hex().upper() == PALETTE["light"][name]


def test_digits_are_pictures():
    digit = forming.digit(3)
    assert digit.image.mode == "RGB" and digit.image.size == (8, 8)
