"""What the scope page differentiates, in the address: written, read back, and left out where it makes no sense."""

from explorer.scoping import PART
from tests.test_pages import said
from tests.test_scope import start


def test_the_half_that_is_differentiated_is_in_the_address():
    app = start()
    assert "part" not in app.query_params
    for part in ("both", "position"):
        app.session_state[PART] = part  # as the canvas's choice leaves it
        app.run()
        assert not app.exception and app.query_params.get("part", "position") == part


def test_a_link_chooses_the_half_that_is_differentiated():
    app = start(part="both")
    assert app.session_state[PART] == "both" and app.query_params["part"] == "both" and not said(app)


def test_a_half_that_a_link_gets_wrong_is_explained():
    app = start(part="<b>")
    assert "“part” must be one of position, both" in said(app)
    assert PART not in app.session_state and "part" not in app.query_params
