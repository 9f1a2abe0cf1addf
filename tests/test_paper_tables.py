"""The paper's tables in links: the table and the number that is open, and what a link gets wrong."""

from functools import partial

import pytest
from streamlit.testing.v1 import AppTest

from explorer import later, paper_tables, scope_sections
from explorer.paper_tables import NAMES, OPEN, TABLE
from lambda_core.tables import METRICS, RECIPES, Maps, published
from tests.test_architectures import start
from tests.test_scope import costs


def warned(app):
    return " ".join(warning.value for warning in app.warning)


def test_a_table_that_is_chosen_is_in_the_address():
    app = start()
    assert app.session_state[TABLE] == "placement" and "table" not in app.query_params
    app.button_group(key=TABLE).set_value("scope").run()
    assert not app.exception and app.query_params["table"] == "scope" and "derive" not in app.query_params
    app.session_state[OPEN] = {"scope": ["23x23", "flops_b"]}  # as a click on the number leaves it
    app.run()
    assert app.query_params["derive"] == "23x23~flops_b"
    app.button_group(key=TABLE).set_value("placement").run()
    assert not {"table", "derive"} & set(app.query_params)


def test_a_link_opens_its_table_and_its_number():
    app = start(table="complexity", derive="lambda layer (k=8)~memory_gib")
    assert app.session_state[TABLE] == "complexity" and not warned(app)
    assert app.session_state[OPEN] == {"complexity": ["lambda layer (k=8)", "memory_gib"]}
    assert app.query_params["table"] == "complexity" and app.query_params["net"]


@pytest.mark.parametrize(
    ("query", "words", "table"),
    [
        ({"table": "<b>"}, "names no table of the paper", "placement"),
        ({"table": "<b>", "derive": "CCLL~params_m"}, "names no table of the paper", "placement"),
        ({"table": "scope", "derive": "CCLL~params_m"}, "the table Scope does not derive", "scope"),
        ({"derive": "CCLL~top1"}, "the table Placement does not derive", "placement"),
        ({"derive": "nonsense"}, "so none is open", "placement"),
        ({"net": "resnet99", "table": "x"}, "names no table of the paper", "placement"),
    ],
)
def test_what_a_link_gets_wrong_is_said_and_left_out(query, words, table):
    app = start(**query)
    assert words in warned(app) and ("names no network" in warned(app)) == ("net" in query)
    assert app.session_state[TABLE] == table and OPEN not in app.session_state
    assert app.query_params.get("table", "placement") == table and "derive" not in app.query_params


def test_the_table_of_scopes_and_the_scope_page_keep_their_figures_apart():
    later._begun.clear()
    later._begun("paper scope", partial(paper_tables.figures, "scope")).result(timeout=60)  # as for the table
    for _ in range(2):  # the second run draws what the first has begun
        app = AppTest.from_function(costs, default_timeout=120).run()
        assert not app.exception
        later._begun("cost by scope", scope_sections.table).result(timeout=60)


def test_what_a_link_can_open_is_what_a_formula_gives():
    """Told from the recipes alone; the tables themselves take their time."""
    for table in NAMES:
        for printed in published()["tables"][table]["rows"]:
            recipe = RECIPES.get(table, {}).get(printed["row"])
            given = {"memory_gib"} if isinstance(recipe, Maps) else {"params_m", "flops_b"} if recipe else set()
            for metric in METRICS:
                known = metric in printed and metric in given
                assert paper_tables._derivable(table, printed["row"], metric) == known
