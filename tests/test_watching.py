"""What is looked at of a run, in the address: written, read back, and left out where it makes no sense."""

import pytest

from explorer import jobs
from lambda_core.checkpoints import zoo
from tests.test_classroom import PAGE
from tests.test_pages import start


@pytest.fixture
def run(monkeypatch):
    """The token of a run that has ended, with networks that ship as those on its way: nothing is trained here."""

    class Ended:
        stdin, returncode, poll = None, 0, staticmethod(lambda: 0)

    with monkeypatch.context() as patch:
        patch.setattr(jobs.subprocess, "Popen", lambda *_, **__: Ended())
        job = jobs.create("digits", 3)
    monkeypatch.setattr(jobs.Job, "kept", lambda _job: dict.fromkeys((1, 2, 3), zoo()["micro_ccll"]))
    yield job.token
    jobs.discard(job)


def looked_at(app, run):
    """Epoch, layer and picture that the page shows, and what the address says of them."""
    shown = app.select_slider(key="epoch_shown").value, app.selectbox(key=f"watched_{run}").value
    said = {name: app.query_params[name] for name in ("epoch", "watched", "held") if name in app.query_params}
    return *shown, app.number_input(key=f"held_{run}").value, said


def test_what_is_looked_at_is_in_the_address(run):
    app = start(PAGE, run=run)
    epoch, first, number, said = looked_at(app, run)
    assert (epoch, number, said) == (3, 1, {})
    last = app.selectbox(key=f"watched_{run}").options[-1]
    app.select_slider(key="epoch_shown").set_value(2)
    app.selectbox(key=f"watched_{run}").select(last)
    app.number_input(key=f"held_{run}").set_value(7).run()
    assert not app.exception
    _, layer, _, said = looked_at(app, run)
    assert layer != first and said == {"epoch": "2", "watched": layer, "held": "7"}
    assert looked_at(start(PAGE, run=run, **said), run) == (2, layer, 7, said)


def test_a_link_to_what_there_is_not_shows_what_there_is(run):
    found = looked_at(start(PAGE, run=run, epoch=9, watched="<b>", held=10**8), run)
    assert found == looked_at(start(PAGE, run=run), run) and not found[-1]
