"""Many networks in the zoo: named for people, opened from the list or a link; every page with every kind of them."""

import shutil

import numpy as np
import pytest
import torch

from explorer import attributions, images, loading, networks, plots, shelf
from lambda_core import attribution, build, load_checkpoint, save_checkpoint, trace
from lambda_core.checkpoints import CheckpointRefused, files, fingerprint, zoo
from lambda_core.data import prepare
from lambda_core.training.ablations import ABLATIONS
from tests.test_pages import said, start

TINY = {"depths": (1, 1), "widths": (8, 8), "strides": (2, 1), "stem": ((3, 8, 2),), "num_classes": 3}
KINDS = {
    "micro_content": {"stages": "CL", "layer": {"scope": 5, "dim_k": 4, "heads": 2, "position": False}},
    "micro_position": {"stages": "CL", "layer": {"scope": 5, "dim_k": 4, "heads": 2, "content": False}},
    "micro_cccc": {"stages": "CC"},
}
PATH = "stages.1.0.mix"
LAYERED = ("home", "lambda_layer", "content_position", "scope")  # pages of lambda layers
LOOKING = ("live", "attributions")  # pages that look at any network, and at lambda layers where there are such


@pytest.fixture(scope="module")
def shelves(tmp_path_factory):
    """A zoo of the home network and three tiny ones: one half each, and none."""
    folder = tmp_path_factory.mktemp("zoo")
    shutil.copy(zoo()[loading.HOME], folder)
    torch.manual_seed(0)
    for name, changes in KINDS.items():
        options = {**TINY, **changes}
        save_checkpoint(
            folder / f"{name}.safetensors", build("lambda_resnet_mini", **options),
            architecture={"name": "lambda_resnet_mini", "overrides": options}, classes=("one", "two", "three"),
            preprocess={"size": 24, "mean": [0.5] * 3, "std": [0.5] * 3},
        )  # fmt: skip
    return folder


@pytest.fixture
def many(shelves, monkeypatch):
    monkeypatch.setattr(files, "ZOO", shelves)
    return shelves


def text(app):
    return " ".join(e.value for kind in (app.title, app.markdown, app.caption, app.info) for e in kind)


def test_they_are_listed_home_first_and_named_for_people(many):
    labels = shelf.labels()
    ours = [name for name in labels if not name.startswith("timm/")]
    assert ours == [loading.HOME, "micro_cccc", "micro_content", "micro_position"]
    for name in ours:
        count = sum(p.numel() for p in load_checkpoint(name).model.parameters())
        assert labels[name].endswith(f" · {count / 1e6:.2f} M")
    assert "content only" in labels["micro_content"]
    assert len({shelf.TITLES[name] for name in ABLATIONS}) == len(ABLATIONS)


def test_a_visit_reads_no_other_network(many, monkeypatch):
    read = []
    monkeypatch.setattr(loading, "read_checkpoint", lambda found: read.append(found) or files.read_checkpoint(found))
    loading._of_zoo.clear()
    start("../pages/content_position.py")
    assert [len(content) for content in read] == [zoo()[loading.HOME].stat().st_size]


def test_a_link_opens_a_network_and_the_list_another(many):
    app = start("../pages/lambda_layer.py", network="micro_content", layer=PATH)
    assert app.session_state["checkpoint"].name == "micro_content"
    assert app.query_params["network"] == "micro_content" and not said(app)
    app.selectbox(key="network_choice").set_value("micro_position").run()
    assert not app.exception and app.query_params["network"] == "micro_position" and not said(app)
    app.selectbox(key="network_choice").set_value(loading.HOME).run()
    assert not app.exception and "checkpoint" not in app.session_state and "network" not in app.query_params
    assert not said(app)  # another network's layer is no link's fault


def test_no_network_that_ships_gives_way_to_others(many):
    """A class that looks at five of them would have each run of a page build its network again."""
    ships = [loading.shipped(name) for name in zoo()]
    before = [loading.checkpoint_of(network) for network in ships]
    content = zoo()["micro_content"].read_bytes()
    for visitor in range(5):
        loading.checkpoint_of(loading.Brought("mine.safetensors", content, f"visitor {visitor}"))
    assert all(loading.checkpoint_of(network) is found for network, found in zip(ships, before, strict=True))


def test_no_session_keeps_a_copy_of_a_network_that_ships(many):
    app = start("../pages/predictions.py", network="micro_content")
    app.selectbox(key="network_second").set_value("micro_position").run()
    assert not app.exception
    for place in ("checkpoint", "second"):
        mine = app.session_state[place]
        assert mine.content is None and mine.key == fingerprint(zoo()[mine.name])


def test_a_file_that_is_called_like_a_network_that_ships_is_no_link(many):
    app = start("../pages/lambda_layer.py")
    content = zoo()["micro_position"].read_bytes()
    app.file_uploader(key="network_file").upload("micro_content", content, "application/octet-stream").run()
    assert not app.exception
    assert app.session_state["checkpoint"].content == content and app.query_params["network"] == networks.FILE
    app.switch_page("../pages/scope.py").run()  # by such a link, in the session that has it
    assert app.session_state["checkpoint"].content == content and not said(app)


def test_a_link_to_a_network_that_is_not_there_is_explained(many):
    app = start(network="micro_nothing")
    assert "does not ship" in said(app) and "network" not in app.query_params


@pytest.mark.parametrize("name", ["micro_content", "micro_position"])
def test_every_page_shows_a_network_of_one_half(many, name):
    app = start(network=name)
    for page in (*LAYERED, *LOOKING):
        app.switch_page(f"../pages/{page}.py").run()
        assert not app.exception and "has no lambda layer" not in text(app), page
    app.switch_page("../pages/lambda_layer.py").run()
    for step in range(9):
        app.selectbox(key="twin_step").set_value(step)
        app.button(key="FormSubmitter:twins-Show").click().run()
        assert not app.exception, step


def test_every_page_of_layers_says_when_there_is_none_and_leads_on(many):
    app = start(network="micro_cccc")
    for page in LAYERED:
        app.switch_page(f"../pages/{page}.py").run()
        assert not app.exception and "has no lambda layer" in text(app), page
    app.switch_page("../pages/predictions.py").run()
    assert not app.exception and "has no lambda layer" not in text(app)
    app.switch_page("../pages/scope.py").run()
    app.button(key="network_home").click().run()
    assert not app.exception and "has no lambda layer" not in text(app) and "checkpoint" not in app.session_state


def test_attributions_of_convolutions_look_at_blocks_and_leave_the_halves_out(many):
    app = start("../pages/attributions.py", network="micro_cccc", layer="stages.0.0")
    assert app.button_group(key="attribution_layer").value == "stages.0.0"
    assert "no halves to split" in text(app) and "Content or position?" not in [s.value for s in app.subheader]
    picture, blocks = images.gallery_picture("coffee"), ["stages.0.0", "stages.1.0"]
    model = load_checkpoint("micro_cccc").model
    x = prepare(picture.image, load_checkpoint("micro_cccc").preprocess)
    best = int(model(x).argmax())
    for block in blocks:
        app.button_group(key="attribution_layer").set_value(block).run()
        assert not app.exception and app.session_state["selection"].layer == block
        assert app.query_params["layer"] == block
    app.button_group(key="attribution_methods").set_value(["grad_cam", "deeplift"]).run()
    assert not app.exception and "was not computed" not in text(app)
    brought = app.session_state["checkpoint"].key
    for block in blocks:  # what the page showed is the library's map, at each block
        shown = attributions._store().get((brought, picture.key, best, block, "map", "grad_cam"))
        expected = attribution.attribute(model, x, best, method="grad_cam", layer=block)[0]
        np.testing.assert_allclose(shown.value, expected, atol=1e-6)
    program = next(code.value for code in app.code if "attribute(" in code.value)
    assert "stages.1.0" in program and "halves" not in program


def test_live_shows_predictions_and_gradcam_of_convolutions_and_the_weights_come_back_with_lambdas(many):
    app = start("../pages/live.py", network="micro_cccc", row=1, column=1)
    maps = app.button_group(key="live_overlay")
    assert maps.value == "gradcam" and maps.options == ["Nothing", "Grad-CAM"]
    assert app.session_state["selection"].layer == "stages.1.0" and "no weights of a pixel" in text(app)
    app.button_group(key="live_layer").set_value("stages.0.0").run()
    app.button_group(key="live_overlay").set_value("none").run()
    assert not app.exception
    app.selectbox(key="network_choice").set_value("micro_content").run()
    assert not app.exception and not said(app) and app.session_state["selection"].layer == PATH
    assert app.button_group(key="live_overlay").options == ["Nothing", "Grad-CAM", "Content"]  # the half that it has
    app.button_group(key="live_overlay").set_value("content").run()
    app.selectbox(key="network_choice").set_value("micro_cccc").run()
    assert not app.exception and app.button_group(key="live_overlay").value == "gradcam"


def test_a_link_to_a_block_that_is_not_there_shows_the_last(many):
    app = start("../pages/live.py", network="micro_cccc", layer="stages.7.7.mix")
    assert app.session_state["selection"].layer == "stages.1.0"


@pytest.mark.parametrize("name", ["micro_content", "micro_position"])
def test_figures_of_one_half_are_drawn(many, name):
    loaded, half = load_checkpoint(name), name.removeprefix("micro_")
    layer = loaded.model.get_submodule(PATH)
    taps = trace(loaded.model, torch.randn(1, 3, 24, 24))
    tensors = {key.removeprefix(f"{PATH}."): t[0].numpy() for key, t in taps.items() if key.startswith(PATH)}
    if layer.embeddings is not None:
        tensors["embeddings"] = layer.embeddings.detach().numpy()
    for missing in {"content", "position"} - {half}:
        tensors[f"{missing}_lambda"] = np.zeros((layer.dim_k, layer.dim_v), np.float32)
    settings = loading.describe(layer, loading.LayerInfo(PATH, "Stage 2, block 1"), tensors)
    photo = images.gallery_picture("cat").image
    for step in (0, 5, 8, "halves"):
        figure = plots.step_figure(tensors, settings, photo, row=1, column=1, step=step)
        assert plots.save(figure, "png")[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["micro_content", "micro_position"])
def test_a_logit_is_split_where_there_is_one_half(many, name):
    loaded, half = load_checkpoint(name), name.removeprefix("micro_")
    found = attribution.halves(loaded.model, torch.randn(1, 3, 24, 24), 0, PATH)
    other = {"content": found.position, "position": found.content}[half]
    assert not other.any() and abs(found.error) < 1e-3
    assert getattr(found, f"without_{half}") == pytest.approx(found.silent, abs=1e-5)


def test_a_browser_opens_no_file_of_the_server(monkeypatch, tmp_path):
    """A list hands on what it was sent, offered or not, and `load_checkpoint` takes paths."""
    file = tmp_path / "mine.safetensors"
    file.write_bytes(zoo()[loading.HOME].read_bytes())
    session = {"network_first": str(file), "network_second": "timm/../mine"}
    monkeypatch.setattr(networks.st, "session_state", session)
    monkeypatch.setattr(networks, "load_checkpoint", lambda name: pytest.fail(f"{name} was opened"))
    for place in ("first", "second"):
        networks._chosen(place)
        assert str(session[f"refused_{place}"]) == "there is no such network here"
    assert networks.open_first(str(file)) == "Not opened: there is no such network here."
    assert networks.fetch() is None and not {"checkpoint", "second"} & set(session)


def test_a_network_of_timms_is_fetched_in_the_run_after_the_choice(monkeypatch):
    def offline(name):
        asked.append(name)
        raise CheckpointRefused("there is no connection")

    asked, session, name = [], {"network_second": "timm/lambda_resnet26t"}, "timm/lambda_resnet50ts"
    monkeypatch.setattr(networks.st, "session_state", session)
    monkeypatch.setattr(networks, "_content", offline)
    networks._chosen("second")
    assert not asked and networks.fetch() is None
    assert asked == ["timm/lambda_resnet26t"] and "refused_second" in session
    assert networks.open_first(name) is None and len(asked) == 1
    assert networks.fetch() == "Not opened: there is no connection."
    assert networks.fetch() is None and asked[1:] == [name]
