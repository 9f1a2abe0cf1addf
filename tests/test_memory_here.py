"""What was measured on the memory page: it stands beside the formulas until it is to be forgotten."""

from explorer import memory_here
from explorer.budget import AUTO, Sizes
from lambda_core.measuring import said
from tests.test_pages import start


def test_what_was_measured_is_compared_and_forgotten():
    app = start("../pages/memory.py")
    tables = len(app.dataframe)
    measured = {"kept": 3 * 2**20, "pairs": 0, "peak": 2**22, "resident": 0, "seconds": 0.25}
    app.session_state[memory_here.DOTS] = [{"asked": AUTO, "sizes": Sizes(side=28), **measured}]
    app.run()
    assert not app.exception and len(app.dataframe) == tables + 1
    assert app.dataframe[0].value["All kept, measured"].tolist() == [said(measured["kept"])]
    app.button(key="memory_forget").click().run()
    assert not app.exception and app.session_state[memory_here.DOTS] == []
    assert len(app.dataframe) == tables and not any(button.key == "memory_forget" for button in app.button)
