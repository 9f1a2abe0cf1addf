"""What is made beside the page: shown when it is there, refused in a sentence, and an error that nobody expected."""

import pytest
from streamlit.testing.v1 import AppTest


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
        time.sleep(0.5)  # in the next run it is

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
