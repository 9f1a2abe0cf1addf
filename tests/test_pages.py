"""The pages without a browser: they run, their form moves the selection, bad input gets a sentence."""

import io
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from explorer import loading, navigation
from explorer.images import GALLERY
from lambda_core import load_checkpoint

APP = str(navigation.PAGES.parent / "explorer" / "app.py")
STEPS = "../pages/lambda_layer.py"


def start(page=None, **query):
    app = AppTest.from_file(APP, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = str(value)
    app.run()
    if page:
        app.switch_page(page).run()
    assert not app.exception
    return app


def said(app):
    return " ".join(info.value for info in app.info)


@pytest.mark.parametrize("info", navigation.find(), ids=lambda info: info.path.stem)
def test_every_page_runs(info):
    start(f"../pages/{info.path.name}")


def test_every_picture_of_the_gallery_can_be_chosen():
    app = start()
    for name in GALLERY:
        app.button(key=f"pick_{name}").click().run()
        assert not app.exception
        assert app.session_state["selection"].image == name
        named = [key for key in GALLERY if app.button(key=f"pick_{key}").label.endswith(", on show")]
        assert named == [name], "not by its outline alone"


def test_the_form_moves_the_selection_and_the_url():
    app = start(STEPS)
    app.slider(key="twin_row").set_value(3)
    app.selectbox(key="twin_step").set_value(5)
    app.button(key="FormSubmitter:twins-Show").click().run()
    assert not app.exception
    selection = app.session_state["selection"]
    assert (selection.row, selection.step) == (2, 5)
    assert app.query_params["row"] == "3"
    assert app.query_params["step"] == "5"


def test_the_form_chooses_the_number_that_enter_opens():
    app = start(STEPS, step=6)
    for name, number in (("key", 3), ("value", 5)):
        app.slider(key=f"twin_{name}").set_value(number)
    app.button(key="FormSubmitter:twins-Show").click().run()
    selection = app.session_state["selection"]
    assert not app.exception and (selection.key, selection.value, selection.step) == (2, 4, 6)
    assert app.session_state["pushed"][1] == selection, "the canvas was sent it"
    assert (app.query_params["key"], app.query_params["value"]) == ("3", "5")


def test_the_url_restores_the_selection():
    app = start(image="cat", row=4, column=6, step=6, head=2)
    selection = app.session_state["selection"]
    assert (selection.image, selection.row, selection.column, selection.step, selection.head) == ("cat", 3, 5, 6, 1)


def test_the_selection_follows_to_another_page():
    app = start(row=4)
    app.switch_page(STEPS).run()
    assert app.slider(key="twin_row").value == 4


def test_another_layer_keeps_the_pixel_inside():
    app = start(STEPS, row=16, column=16)
    layers = loading.lambda_layers(load_checkpoint("lambda_resnet_mini").model)
    assert len(layers) >= 2
    for layer in layers:
        app.selectbox(key="layer_choice").set_value(layer.path).run()
        assert not app.exception
        assert app.session_state["selection"].layer == layer.path
        assert "There is no" not in said(app)  # nobody followed a link
    assert (app.session_state["selection"].row, app.session_state["selection"].pinned) == (7, True)
    app.selectbox(key="layer_choice").set_value(layers[0].path).run()
    assert app.session_state["selection"].row == 14


def test_without_a_choice_the_pixel_is_the_middle_of_every_map():
    app = start(STEPS, layer="stages.3.1.mix")
    assert not app.exception and "There is no" not in said(app)
    assert not app.session_state["selection"].pinned and "row" not in app.query_params
    assert (app.slider(key="twin_row").value, app.slider(key="twin_row").max) == (5, 8)
    app.selectbox(key="layer_choice").set_value("stages.2.0.mix").run()
    assert (app.slider(key="twin_row").value, app.slider(key="twin_row").max) == (9, 16)


def test_a_pixel_of_a_link_beyond_the_map_is_said():
    app = start(layer="stages.3.1.mix", row=16, column=2)
    assert said(app).count("There is no") == 1 and app.session_state["selection"].row == 7


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"row": 99}, "row 99"),
        ({"row": "x"}, "“row” is not a number that counts from 1"),
        ({"step": "x"}, "“step” is not a number that counts from 0"),
        ({"step": 70}, "step 70"),
        ({"layer": "stages.9"}, "does not have"),
        ({"image": "<b>nothing</b>"}, "not in the gallery"),
        ({"image": "upload"}, "another session"),
        ({"network": "file"}, "open its file again"),
        ({"cell": "nonsense"}, "“cell”"),
    ],
)
def test_a_link_that_makes_no_sense_is_explained(query, words):
    app = start(**query)
    assert words in said(app) and not app.sidebar.info  # which is closed on a phone


def test_a_link_with_much_that_makes_no_sense_is_explained_in_short():
    app = start(row="x", column="x", head="x", key="x", value="x", cell="x")
    assert said(app).count("- ") == 4 and "3 more of its parameters" in said(app)


def png(size=(40, 30)):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_an_uploaded_picture_is_shown():
    app = start(STEPS)
    app.file_uploader(key="upload").upload("mine.png", png(), "image/png").run()
    assert not app.exception
    assert app.session_state["selection"].image == "upload"


def test_a_broken_picture_gets_a_sentence_and_the_old_one_stays():
    app = start(STEPS)
    app.file_uploader(key="upload").upload("mine.png", png()[:60], "image/png").run()
    assert not app.exception
    assert "damaged" in said(app)
    assert app.session_state["selection"].image == "coffee"


def test_what_was_said_of_a_picture_goes_with_the_page():
    app = start(STEPS)
    app.file_uploader(key="upload").upload("mine.png", b"no picture at all", "image/png").run()
    assert "text file" in said(app)
    app.switch_page("../pages/scope.py").run()
    assert not app.exception and "text file" not in said(app)


class Bomb:
    def __reduce__(self):
        return os.system, ("touch SHOULD_NOT_EXIST",)


def test_a_checkpoint_that_could_run_code_gets_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save(Bomb(), buffer)
    app = start(STEPS)
    for content in (pickle.dumps(Bomb()), buffer.getvalue(), b"\x00" * 40):
        app.file_uploader(key="network_file").upload("net.pt", content, "application/octet-stream").run()
        assert not app.exception
        assert "Not opened" in said(app)
    assert not (tmp_path / "SHOULD_NOT_EXIST").exists()


def test_a_checkpoint_that_fits_is_used_by_every_page():
    from lambda_core.checkpoints import zoo

    app = start(STEPS)
    content = zoo()["lambda_resnet_mini"].read_bytes()
    app.file_uploader(key="network_file").upload("mine.safetensors", content, "application/octet-stream").run()
    assert not app.exception
    assert "your network" in said(app)
    app.switch_page("../pages/home.py").run()
    assert not app.exception


def test_the_form_shows_the_numbers_of_the_layer():
    app = start(STEPS, row=1, column=1)
    captions = " ".join(caption.value for caption in app.caption)
    assert "y of head 1" in captions


def test_the_program_of_an_open_cell_is_about_that_cell():
    app = start(STEPS, step=6, cell="lambda", key=3, value=5, row=4, column=4)
    assert any('print("λ[3, 5] ="' in code.value for code in app.code)
    app = start(STEPS, step=2, cell="lambda")  # where the page opens no cell
    assert any("y.tolist()" in code.value for code in app.code)


def test_a_session_that_the_server_has_lost_is_said_once(monkeypatch):
    monkeypatch.setattr(navigation, "asked_from", lambda: "scope")
    app = AppTest.from_file(APP, default_timeout=120)
    app.switch_page("../pages/memory.py").run()  # the first run, as after a click by the menu
    assert not app.exception and not said(app)  # where neither picture nor network is shown
    app.switch_page("../pages/predictions.py").run()
    assert said(app).count("forgotten what was chosen before") == 1
    app.button(key="pick_cat").click().run()
    assert "forgotten" not in said(app)
    app.switch_page("../pages/home.py").run()
    assert "forgotten" not in said(app)


def test_a_first_visit_has_lost_nothing(monkeypatch):
    assert navigation.shown_at("http://localhost/app/scope/") == "scope"
    assert [navigation.shown_at(f"http://localhost/{path}") for path in ("", "app/", "home")] == ["", "", ""]
    monkeypatch.setattr(navigation, "asked_from", lambda: "scope")
    assert "forgotten" not in said(start("../pages/scope.py"))
    monkeypatch.setattr(navigation, "asked_from", lambda: "")
    assert "forgotten" not in said(start(image="cat"))
