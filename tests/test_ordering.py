"""The training page before a run that begins with trained weights."""

import re
from contextlib import nullcontext
from dataclasses import replace
from itertools import product

import pytest
import torch
from PIL import Image

from explorer import formula, jobs, lessons, networks, ordering
from explorer.loading import Brought
from lambda_core import LambdaLayer, build, load_checkpoint
from lambda_core.checkpoints import Checkpoint
from lambda_core.training.config import RECIPES, changed
from tests.test_classroom import PAGE, press, until
from tests.test_pages import start


@pytest.mark.long
def test_a_network_that_is_open_learns_pictures_of_ones_own(monkeypatch, whole, tmp_path):
    """From the network that ships or from a file, whatever it is called: a file of a run is `state.pt` too."""
    for number in range(60):
        file = tmp_path / ("val" if number < 12 else "train") / f"kind {number % 3}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (4 * number, 0, 80 * (number % 3))).save(file)
    monkeypatch.setenv("LAMBDA_DATA", str(tmp_path))
    app = start(PAGE)
    assert "begin_trained" not in [radio.key for radio in app.radio]  # of digits
    app.radio(key="lesson").set_value("imagefolder").run()
    assert "what lambda\\_resnet\\_mini has learned" in app.radio(key="begin_trained").options
    app.session_state["checkpoint"] = Brought.of("state.pt", (whole / "state.pt").read_bytes())
    app.run()
    app.radio(key="begin_trained").set_value(True).run()
    assert any("pictures of 32 × 32 pixels" in text.value for text in app.markdown)
    app.slider(key="epochs_imagefolder").set_value(2).run()
    press(app, "Train")
    job = jobs.find(app.session_state["run"])
    try:
        until(lambda: job.state != "running")
        assert job.state == "done", job.said
        assert job.command[:6] == ["python", "-m", "lambda_core.training.classify", "finetune", "--epochs", "2"]
        assert job.command[-4:] == ["--init", "state.pt", "--data", "DIR"]
        found, begun = load_checkpoint(job.kept()[2]), load_checkpoint(whole / "state.pt")
        assert (found.card["init"], len(found.classes)) == ("state.pt", 3)
        assert found.card["architecture"]["overrides"]["layer"] == begun.card["architecture"]["overrides"]["layer"]
        app.run()
        assert not app.exception
    finally:
        jobs.discard(job)


def test_a_network_that_ships_is_named_and_not_copied(monkeypatch, tmp_path):
    class Ended:
        stdin, returncode, poll = None, 0, staticmethod(lambda: 0)

    started = []
    monkeypatch.setattr(jobs.subprocess, "Popen", lambda command, **_: started.append(command) or Ended())
    job = jobs.create("finetune", 2, (), str(tmp_path), jobs.Begin("lambda_resnet_mini"))
    try:
        assert started[0][started[0].index("--init") + 1] == "lambda_resnet_mini"
        assert not (job.folder / "begin").exists()
    finally:
        jobs.discard(job)


def test_without_a_position_half_there_is_no_scope_to_choose_and_no_word_of_kernels(monkeypatch):
    shown = []
    monkeypatch.setattr(formula, "show", lambda _name, halves: shown.append(halves))
    app = start(PAGE)
    app.selectbox(key="scope_ordered").set_value("11").run()
    assert not app.selectbox(key="scope_ordered").disabled and shown[-1] == ("content", "position")
    app.selectbox(key="halves_ordered").set_value("content alone").run()
    assert not app.exception
    choices = [app.selectbox(key="scope_ordered"), app.select_slider(key="depth_digits")]
    assert choices[0].disabled and shown[-1] == ("content",)
    said = [*(text.value for text in [*app.markdown, *app.caption]), *(choice.help for choice in choices)]
    assert not [text for text in said if re.search(r"\bE\b|kernel", text)]
    app.selectbox(key="halves_ordered").set_value("both halves").run()
    assert app.selectbox(key="scope_ordered").value == "11", "what was chosen comes back"


def test_the_form_is_as_it_was_after_a_look_at_another_page(monkeypatch):
    monkeypatch.setattr(ordering.later, "show", lambda *_, **__: None)  # no measuring

    def form(app):
        return {
            "epochs_digits": app.slider, "stages_digits": app.selectbox, "halves_ordered": app.selectbox,
            "scope_ordered": app.selectbox, "depth_digits": app.select_slider, "lr_digits": app.select_slider,
            "seed_ordered": app.number_input,
        }  # fmt: skip

    app = start(PAGE)
    chosen = (7, "LLL", "position alone", "11", 8, 0.005, 3)
    for (key, widget), value in zip(form(app).items(), chosen, strict=True):
        widget(key=key).set_value(value)
    app.run()
    app.switch_page("../pages/memory.py").run()
    app.switch_page(PAGE).run()
    assert not app.exception
    assert tuple(widget(key=key).value for key, widget in form(app).items()) == chosen


def test_the_halves_of_a_recipe_are_those_of_its_lambda_layers():
    def halves(overrides):
        return ordering.halves(replace(RECIPES["digits"], overrides=overrides))

    assert halves({}) == ("content", "position")
    assert halves({"layer": {"scope": 7, "position": False}}) == ("content",)
    assert halves({"content": False}) == ("position",), "as the architectures page sends it"


@pytest.mark.parametrize("name", ["plain", "grey", "bare"])
def test_what_cannot_be_watched_or_trained_is_no_beginning(monkeypatch, name):
    """Without a lambda layer, for pictures of one channel, without a word of how a picture is prepared."""
    stages, channels = ("CCCC", 3) if name == "plain" else ("CCCL", 1 if name == "grey" else 3)
    model = build("resnet26", stages=stages, in_chans=channels, num_classes=2)
    preprocess = {} if name == "bare" else {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3}
    opened = networks.Opened("mine.pt", "key", Checkpoint(model, (), preprocess, {}))
    monkeypatch.setattr(ordering.networks, "first", lambda: opened)
    assert ordering._begin_from("imagefolder") is None


@pytest.mark.parametrize(
    ("learned", "offered"),
    [
        ({}, ["cifar10", "imagefolder"]),  # a card that says nothing is taken for one of Imagenette
        ({"recipe": {"data": "cifar10"}}, ["imagenette", "imagefolder"]),
        ({"recipe": {"data": "imagefolder"}}, ["imagenette", "cifar10", "imagefolder"]),
        ({"recipe": {"data": "something else"}}, ["imagenette", "cifar10", "imagefolder"]),
    ],
)
def test_a_network_is_not_asked_to_learn_what_it_has_learned(monkeypatch, learned, offered):
    model = build("resnet26", stages="CCCL", num_classes=2)
    preprocess = {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3}
    opened = networks.Opened("mine.pt", "key", Checkpoint(model, (), preprocess, learned))
    monkeypatch.setattr(ordering.networks, "first", lambda: opened)
    monkeypatch.setattr(ordering.st, "radio", lambda *_, **__: True)
    assert [name for name in lessons.LESSONS if ordering._begin_from(name) is opened] == offered


HALVES = {"both halves": (True, True), "content alone": (True, False), "position alone": (False, True)}


@pytest.mark.parametrize("name", lessons.LESSONS)
def test_every_choice_of_a_lesson_is_a_network_that_takes_its_pictures(monkeypatch, name):
    lesson, chosen = lessons.LESSONS[name], {}
    monkeypatch.setattr(ordering.st, "columns", lambda count: [nullcontext()] * count)
    monkeypatch.setattr(ordering.st, "selectbox", lambda _, options, key, **__: chosen.get(key, options[0]))
    monkeypatch.setattr(ordering.st, "select_slider", lambda _, options, *__, **___: options[0])
    assert HALVES.keys() == ordering.HALVES.keys()
    for halves, scope in product(HALVES, ordering.SCOPES):
        chosen |= {"halves_ordered": halves, "scope_ordered": scope}
        network = build(RECIPES[lesson.recipe].model, **(ordering._network(name) | {"num_classes": 7})).eval()
        sides = []
        network.stages[0].register_forward_hook(lambda *said, sides=sides: sides.append(said[-1].shape[-1]))
        with torch.no_grad():
            assert network(torch.zeros(1, 3, lesson.side, lesson.side)).shape == (1, 7)
        assert sides == [ordering.MAP]
        layers = [layer for layer in network.modules() if isinstance(layer, LambdaLayer)]
        built = {(layer.content, layer.position, layer.scope, layer.dim_k) for layer in layers}
        assert built == {(*HALVES[halves], ordering.SCOPES[scope], 4)}


def test_the_halves_and_the_scope_that_are_chosen_are_trained(monkeypatch):
    asked = []

    def create(recipe, epochs, settings, *_):
        asked.append(changed(RECIPES[recipe], list(settings)))
        raise jobs.Busy("enough")

    monkeypatch.setattr(ordering.later, "show", lambda *_, **__: None)  # how long it will take
    monkeypatch.setattr(ordering.jobs, "create", create)
    app = start(PAGE)
    app.selectbox(key="halves_ordered").set_value("position alone")
    app.selectbox(key="scope_ordered").set_value("global")
    press(app, "Train")
    (recipe,) = asked
    layer = {**RECIPES["digits"].overrides["layer"], "scope": None, "content": False}
    assert recipe.overrides == RECIPES["digits"].overrides | {"layer": layer, "image_size": recipe.size}
    assert [warning.value for warning in app.warning] == ["enough."]


@pytest.mark.parametrize("name", ["鶴" * 300 + ".safetensors", "𠮷" * 300, "λ" * 100 + "/.."])
def test_the_file_to_begin_from_has_a_name_that_systems_take(name, tmp_path):
    file = jobs._written(jobs.Begin(name, b"weights"), tmp_path / "begin")
    assert file.read_bytes() == b"weights" and file.parent == tmp_path / "begin"
    assert file.suffix == (".safetensors" if name.endswith(".safetensors") else "")
