"""What was measured on the memory page: it stands beside the formulas until it is to be forgotten."""

import pytest

from explorer import budget, memory_here
from explorer.budget import AUTO, Sizes
from lambda_core.measuring import said
from tests.test_pages import start


def test_what_was_measured_is_compared_and_forgotten():
    app = start("../pages/memory.py")
    app.selectbox(key=memory_here.CEILING).set_value(0.25)
    tables = len(app.dataframe)
    measured = {"kept": 3 * 2**20, "pairs": 0, "peak": 2**22, "resident": 0, "seconds": 0.25}
    app.session_state[memory_here.DOTS] = [{"asked": AUTO, "sizes": Sizes(side=28), **measured}]
    app.run()
    assert not app.exception and len(app.dataframe) == tables + 1
    assert app.dataframe[0].value["All kept, measured"].tolist() == [said(measured["kept"])]
    app.button(key="memory_forget").click().run()
    assert not app.exception and app.session_state[memory_here.DOTS] == []
    assert len(app.dataframe) == tables and not any(button.key == "memory_forget" for button in app.button)
    assert app.selectbox(key=memory_here.CEILING).value == 0.25


@pytest.fixture
def session(monkeypatch):
    """What a visitor's session holds who measures attention under a ceiling."""
    held = {memory_here.CEILING: 0.5, memory_here.KIND_CHOICE: ["flash attention"]}
    monkeypatch.setattr(memory_here.st, "session_state", held)
    return held


@pytest.fixture
def asked(monkeypatch):
    """The points that were to be measured."""
    found = []
    monkeypatch.setattr(memory_here, "refusal", lambda *_: None)
    monkeypatch.setattr(memory_here, "start", lambda fit, gib, axis: found.extend(fit))
    return found


def test_what_is_measured_is_on_the_curves_of_4_bytes_whatever_is_shown(session, asked):
    memory_here.begin(lambda: (Sizes(side=8, entry=2), "side"))
    dots = [{"asked": kind, "sizes": sizes} for kind, sizes in asked]
    assert dots and budget.dots(dots, Sizes(side=8), "side") == dots
    assert budget.dots(dots, Sizes(side=8, entry=2), "side") == []


def test_a_ceiling_is_one_of_those_that_are_offered(session, asked):
    session[memory_here.CEILING] = "as a browser may send it"
    memory_here.begin(lambda: (Sizes(side=8), "side"))
    assert not asked and memory_here.RUN not in session


def test_what_is_free_does_not_change_the_ceiling_that_was_chosen(session, asked):
    everything, less = [0.25, 0.5, 1, 2, 4], [0.25]
    assert memory_here.offered(everything, running=False) == (everything, 2)
    memory_here._choose_ceiling()
    assert memory_here.offered(everything, running=False) == (everything, 0.5)
    memory_here.begin(lambda: (Sizes(side=8), "side"))
    assert memory_here.offered(less, running=True) == ([0.25, 0.5], 0.5)
    assert memory_here.offered(less, running=False) == (less, 0.25)
    assert memory_here.offered(everything, running=False) == (everything, 0.5)
