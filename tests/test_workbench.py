"""The bench of the architectures page: the network beside the one that is changed, and the batch of both."""

import pytest

from explorer import state
from explorer.architecture import read
from explorer.blocks import costs, measure
from explorer.components import brush, network_canvas
from tests.node import told_of
from tests.test_architectures import captions, start


def button(app, label):
    return next(button for button in app.button if button.label == label)


def press(app, label):
    button(app, label).click().run()
    assert not app.exception


def stages(app):
    """Of the network that can be changed, and of the one beside it."""
    return [app.session_state[key].stages for key in ("bench_shown", "bench_other")]


def test_two_networks_are_compared_exchanged_and_taken_back():
    app = start(net="resnet26~CCLL", beside="resnet26~CCCL")
    app.text_input(key="bench_stages").set_value("CLLL").run()
    assert stages(app) == ["CLLL", "CCCL"]
    press(app, "Swap the two")
    assert stages(app) == ["CCCL", "CLLL"] and "resnet26~CLLL" in app.query_params["beside"]
    press(app, "Compare from here")
    assert stages(app) == ["CCCL", "CCCL"]
    assert all(button(app, label).disabled for label in ("Compare from here", "Swap the two", "Undo all"))
    app.text_input(key="bench_stages").set_value("LLLL").run()
    press(app, "Undo all")
    assert stages(app) == ["CCCL", "CCCL"]
    press(app, "Compare with convolutions alone")
    assert stages(app) == ["CCCL", "CCCC"] and button(app, "Compare with convolutions alone").disabled
    assert not button(app, "Swap the two").disabled
    app.selectbox(key="bench_batch_choice").set_value(32).run()
    size = measure(costs(read("resnet26~CCCL"), 32).whole)["memory"]
    assert f"{size:,} bytes for a batch of 32:" in captions(app)


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """What edits.js found."""
    return told_of("network_canvas", "edits.js", tmp_path_factory.mktemp("modules"))


def test_painting_ends_where_the_button_is_let_go_of(edited):
    """Also where nobody hears it: beyond the window, or in a menu, which the right and the control key ask for."""
    assert [edit["stages"] for edit in edited["sent"]] == [["LCC"], ["LLC"], ["LLL"]]
    assert edited["counts"] == [1, 2, 2, 3]


def test_a_session_that_has_counted_no_edits_is_followed(edited):
    assert edited["shown"] == ["CCC"]


@pytest.mark.parametrize("component", [brush, network_canvas])
def test_the_browser_is_told_one_session_from_another(component, monkeypatch):
    told = []
    monkeypatch.setattr(component, "_mount", lambda data, **_: told.append(data["session"]))
    draw, changed = {
        brush: (brush.brush, "on_mask_change"), network_canvas: (network_canvas.network_canvas, "on_edit_change"),
    }[component]  # fmt: skip
    for session in ({}, {}):
        monkeypatch.setattr(state.st, "session_state", session)
        for _ in range(2):
            draw({}, key="here", **{changed: None})
    assert told[0] == told[1] != told[2] == told[3]
