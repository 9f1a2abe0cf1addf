"""The bench of the architectures page: the network beside the one that is changed, and the batch of both."""

from explorer.architecture import read
from explorer.blocks import costs, measure
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
