"""An attribution that many sessions ask for at once is computed by one of them, and the others can give up waiting."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from explorer import attributions, images, loading
from explorer.attributions import Job, Question, Store

HALVES, MAP, CURVES = Job("halves", "halves"), Job("map", "occlusion"), Job("curves", "occlusion")


@pytest.fixture
def question(monkeypatch):
    """About a network that is not looked at, with a store of its own."""
    monkeypatch.setattr(attributions, "_store", lambda store=Store(): store)  # noqa: B008  (one for the test)
    monkeypatch.setattr(loading, "network_key", lambda: "network")
    return Question(images.gallery_picture("coffee"), 0, "stages.2.0.mix")


def test_what_many_ask_for_at_once_is_computed_once(monkeypatch, question):
    asked, waiting = [], set()

    def slow(*_):
        asked.append("once")
        deadline = time.monotonic() + 60
        while len(waiting) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(waiting)

    monkeypatch.setitem(attributions.WORK, "halves", slow)
    monkeypatch.setattr(attributions, "WAIT", 0.01)
    with ThreadPoolExecutor(4) as pool:
        begun = [
            pool.submit(attributions.find, question, HALVES, lambda _share: waiting.add(threading.get_ident()))
            for _ in range(4)
        ]
        found = [future.result().value for future in begun]
    assert asked == ["once"] and found == [3] * 4
    assert not attributions._store()._turns, "no lock is left"


def test_who_waits_can_give_up(monkeypatch, question):
    class Stopped(BaseException):
        """As Streamlit ends a run that a click overtakes."""

    def stop(_share):
        raise Stopped

    monkeypatch.setitem(attributions.WORK, "map", lambda *_: "a map")
    with attributions._store().turn(attributions._key(question, MAP), lambda: None):
        for job in (MAP, CURVES):  # the curves need the map
            with pytest.raises(Stopped):
                attributions.find(question, job, stop)
    assert attributions.find(question, MAP, stop).value == "a map", "nobody is left in the way"


def test_where_one_gives_up_the_next_computes(monkeypatch, question):
    answers = iter([ValueError("given up"), "found"])

    def work(*_):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setitem(attributions.WORK, "halves", work)
    with pytest.raises(ValueError, match="given up"):
        attributions.find(question, HALVES, lambda _share: None)
    assert attributions.find(question, HALVES, lambda _share: None).value == "found"
