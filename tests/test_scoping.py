"""What the scope page shows, in the address: written, read back, and left out where it makes no sense."""

import re

import pytest

from explorer.components import scope_canvas
from explorer.scoping import CHOICES, OVERLAY, PART
from tests.test_pages import said
from tests.test_scope import start


@pytest.mark.parametrize(("key", "other"), [(PART, "both"), (OVERLAY, "change")])
def test_what_is_chosen_is_in_the_address(key, other):
    app = start()
    name, (first, *_) = CHOICES[key]
    assert name not in app.query_params
    for choice in (other, first):
        app.session_state[key] = choice  # as a choice on the canvas leaves it
        app.run()
        assert not app.exception and app.query_params.get(name, first) == choice


def test_a_link_chooses_what_is_shown():
    app = start(part="both", overlay="image")
    assert (app.session_state[PART], app.session_state[OVERLAY]) == ("both", "image") and not said(app)
    assert (app.query_params["part"], app.query_params["overlay"]) == ("both", "image")


def test_a_choice_that_a_link_gets_wrong_is_explained():
    app = start(part="<b>", overlay="footprint")
    assert "“part” must be one of position, both" in said(app) and "“overlay” must be one of layer, image" in said(app)
    assert not {"part", "overlay"} & set(app.query_params)
    assert PART not in app.session_state and OVERLAY not in app.session_state


def test_the_choices_are_those_of_the_canvas():
    js = scope_canvas.assets()["js"]
    overlays = re.findall(r'\["(\w+)", "[^"]*", "\w+"\]', re.search(r"const OVERLAYS = (\[.*\]);", js)[1])
    assert tuple(overlays) == CHOICES[OVERLAY][1]
