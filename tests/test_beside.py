"""The network that Predictions compares with, in the address: written, read back, and left out where there is none."""

from explorer import networks
from explorer.loading import HOME, Brought
from tests.test_pages import said
from tests.test_predictions import send, shown, small, start


def test_the_network_beside_is_in_the_address():
    app = start()
    assert "compare" not in app.query_params
    for name in ("micro_content", HOME):
        app.selectbox(key="network_second").set_value(name).run()
        assert not app.exception and app.query_params["compare"] == name
    app.selectbox(key="network_second").set_value(networks.NONE).run()
    assert not app.exception and "compare" not in app.query_params


def test_a_link_opens_the_network_beside():
    for name in ("micro_content", HOME):
        app = start(compare=name, network="micro_ccll")
        assert app.selectbox(key="network_second").value == name and not said(app)
        assert app.query_params["compare"] == name and app.query_params["network"] == "micro_ccll"
        assert shown(app).count('<ol class="topk">') == 2


def test_a_link_to_a_network_that_does_not_ship_is_explained():
    app = start(compare="<b>other</b>")
    assert "compares with a network that does not ship" in said(app) and "compare" not in app.query_params
    assert app.selectbox(key="network_second").value == networks.NONE


def test_a_file_beside_is_in_no_link(tmp_path):
    app = start(compare="micro_content")
    send(app, "second", small(tmp_path / "mine.safetensors"))
    assert app.selectbox(key="network_second").value == "mine.safetensors" and "compare" not in app.query_params
    app.session_state["second"] = Brought.of("micro_content", small(tmp_path / "called like it"))
    app.run()
    assert not app.exception and "compare" not in app.query_params
