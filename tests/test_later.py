"""What is made beside the page: shown when it is there, refused in a sentence, and an error that nobody expected."""

from threading import Event

import pytest
from streamlit.testing.v1 import AppTest

from explorer import later, scope_sections
from explorer.images import gallery_picture


def run(problem):
    def page(problem):
        import time

        import streamlit as st

        from explorer import later

        def work():
            time.sleep(0.1)  # in the first run it is not done: an error is told once
            if problem:
                raise {"value": ValueError, "key": KeyError}[problem]("it does not fit")
            return "made"

        later.show(f"test {problem}", work, st.write, "Making it …", refusals=(ValueError,))
        later._POOL.submit(int).result()  # in the next run it is

    app = AppTest.from_function(page, args=(problem,), default_timeout=30).run()
    return app.run()


def test_it_is_drawn_when_it_is_made():
    assert run("").markdown[0].value == "made"


def test_what_is_refused_is_a_sentence():
    app = run("value")
    assert [warning.value for warning in app.warning] == ["it does not fit"] and not app.exception


@pytest.mark.parametrize("times", [1, 2])
def test_another_error_is_one_and_is_tried_again(times):
    assert [error.message for error in run("key").exception] == ["'it does not fit'"]


def test_of_figures_that_follow_a_choice_only_the_last_is_made(monkeypatch):
    """Neither waits for the slow figures of others; a figure that another session gave up is begun anew."""
    made, open_now, other_now = [], Event(), Event()

    def begin(session, choice):
        monkeypatch.setattr(later.st, "session_state", session)
        return later._latest("a test", f"latest {choice}", lambda: made.append(choice))

    mine, theirs = {}, {}
    later._POOL.submit(other_now.wait, 30)  # a slow figure of somebody
    later._LATEST.submit(open_now.wait, 30)  # a measurement under way
    first = begin(mine, 1)
    assert begin(theirs, 1) is first and begin(mine, 1) is first
    second = begin(mine, 2)
    assert first.cancelled() and not second.cancelled()
    again = begin(theirs, 1)
    open_now.set()
    again.result(30)
    second.result(30)
    assert made == [2, 1] and not other_now.is_set()
    other_now.set()


def test_the_receptive_fields_of_a_picture_make_way_for_those_of_the_next(monkeypatch):
    given = {}
    monkeypatch.setattr(later, "show", lambda *_, **more: given.update(more))
    scope_sections.depth(gallery_picture("coffee"))
    assert given["latest"] == "depth"
