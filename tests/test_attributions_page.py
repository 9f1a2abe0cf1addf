"""The attributions page without a browser: it answers, long work finishes or is given up, exports run."""

import re
import threading

import numpy as np
import pytest
import torch

from explorer import attribution_exports, attribution_plots, attributions, images, loading
from explorer.attributions import KEPT, Job, Question, Result, Store
from explorer.components import brush
from explorer.components.brush import GRID, from_text, to_text
from explorer.components.heat_maps import Tile, packed
from explorer.theme import PALETTE
from lambda_core import load_checkpoint
from lambda_core.attribution import METHODS, Curve, Halves
from lambda_core.checkpoints import Checkpoint
from lambda_core.data import prepare
from tests.test_pages import said, start

PAGE = "../pages/attributions.py"
CHEAP = [name for name, method in METHODS.items() if method.cheap]


def fast(monkeypatch):
    """Maps that take no time and tell their progress twice."""
    asked = []

    def quick(question, name, progress):
        asked.append((question.target, question.layer, name))
        progress(0.5)
        progress(1.0)
        return np.random.default_rng(len(asked)).normal(size=(8, 8)).astype(np.float32)

    monkeypatch.setitem(attributions.WORK, "map", quick)
    monkeypatch.setattr(attributions, "_store", lambda store=Store(): store)  # noqa: B008  (one for the test)
    return asked


def caption(app):
    return next(c.value for c in app.caption if c.value.startswith("Covered"))


def test_the_page_answers_for_the_likeliest_class_then_for_the_one_clicked(monkeypatch):
    asked = fast(monkeypatch)
    app = start(PAGE)
    assert {name for _, _, name in asked} == set(CHEAP)
    likeliest = asked[0][0]
    classes = load_checkpoint(loading.HOME).classes
    offered = " ".join(app.button_group(key="attribution_class").options)
    other = next(i for i, name in enumerate(classes) if i != likeliest and name in offered)
    app.button_group(key="attribution_class").set_value(other).run()
    assert not app.exception
    assert asked[-1][0] == other
    assert app.query_params["target"]
    before = len(asked)
    app.button_group(key="attribution_class").set_value(likeliest).run()
    assert len(asked) == before, "what is known is not computed again"


def test_another_layer_changes_only_the_methods_that_look_at_one(monkeypatch):
    asked = fast(monkeypatch)
    app = start(PAGE)
    asked.clear()
    layer = loading.lambda_layers(load_checkpoint(loading.HOME).model)[-1].path
    app.button_group(key="attribution_layer").set_value(layer).run()
    assert {name for _, _, name in asked} == {name for name in CHEAP if METHODS[name].layered}
    assert {path for _, path, _ in asked} == {layer}


def test_a_class_that_is_not_there_is_explained(monkeypatch):
    fast(monkeypatch)
    app = start(target="unicorn")
    app.switch_page(PAGE).run()
    assert not app.exception
    assert "does not have" in said(app)


def test_classes_of_one_name_are_told_apart(monkeypatch):
    """A click and a link say the name: ImageNet-like sets have cranes that fly and cranes that lift."""
    names = ("crane", "crane", "C++", "C#", "x" * 50, "x" * 49 + "y", "")
    monkeypatch.setattr(loading, "checkpoint", lambda: Checkpoint(torch.nn.Identity(), names))
    shown = [attributions.class_name(i) for i in range(len(names) + 1)]
    assert len(set(shown)) == len(shown)
    assert shown[0] == "crane (0)" and shown[6] == "class 6"


def test_the_completeness_error_is_shown(monkeypatch):
    fast(monkeypatch)
    app = start(PAGE)
    app.button_group(key="attribution_methods").select("integrated_gradients").run()
    assert not app.exception
    shown = next(c.value for c in app.caption if "plain picture" in c.value).replace("−", "-")
    rise, total, error = map(float, re.findall(r"[+-]\d+\.\d+", shown))
    assert total - rise == pytest.approx(error, abs=2e-3)
    checkpoint = load_checkpoint(loading.HOME)
    x = prepare(images.gallery_picture("coffee").image, checkpoint.preprocess)
    with torch.no_grad():
        logits, plain = checkpoint.model(torch.cat([x, torch.zeros_like(x)]))
    assert rise == pytest.approx((logits - plain)[logits.argmax()].item(), abs=2e-3)


def test_cover_and_uncover(monkeypatch):
    fast(monkeypatch)
    app = start(PAGE)
    assert "Covered: 0 %" in caption(app)
    app.slider(key="attribution_share").set_value(25).run()
    app.button(key="attribution_cover").click().run()
    assert not app.exception
    assert "Covered: 25 %" in caption(app)
    assert "(+0.00)" not in caption(app)
    app.button(key="attribution_clear").click().run()
    assert "Covered: 0 %" in caption(app)


def test_long_work_stops_when_the_page_is_told_to(monkeypatch):
    """The page's progress call is where a click ends the work; here it raises as Streamlit does."""
    fast(monkeypatch)

    class Stopped(BaseException):
        pass

    def stop(_share):
        raise Stopped

    question = Question(images.gallery_picture("coffee"), 0, "stages.2.0.mix")
    with pytest.raises(Stopped):
        attributions.find(question, Job("map", "occlusion"), stop)
    assert attributions.known(question, Job("map", "occlusion")) is None
    assert not loading.LOCK.locked()


def test_what_cannot_be_computed_gets_a_sentence(monkeypatch):
    fast(monkeypatch)

    def refuse(_question, _name, _progress):
        raise ValueError("the layer has no map")

    monkeypatch.setitem(attributions.WORK, "halves", refuse)
    app = start(PAGE)
    app.button(key="attribution_halves").click().run()
    assert not app.exception
    assert "The split over the halves was not computed: the layer has no map." in said(app)
    assert app.button(key="attribution_halves")


def test_the_store_is_bounded_and_shared_by_threads():
    store = Store()

    def fill(start):
        for i in range(200):
            store.put((start, i), Result(i, 0.0))
            assert store.get((start, i)) is None or store.get((start, i)).value == i

    threads = [threading.Thread(target=fill, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store._found) == KEPT


def test_masks_survive_the_way_to_the_browser_and_nonsense_is_an_empty_mask():
    mask = np.random.default_rng(0).random((GRID, GRID)) < 0.3
    assert np.array_equal(from_text(to_text(mask)), mask)
    for nonsense in (None, "", "zz", "00", 7, "ff" * 5000):
        assert not from_text(nonsense).any()


def test_tiles_keep_their_numbers():
    import base64

    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    sent = packed(Tile("t", "q", "n", "lambda", values))
    back = np.frombuffer(base64.b64decode(sent["values"]), "<i2").reshape(5, 7) * sent["unit"]
    assert np.abs(back - values).max() <= sent["unit"]
    assert sent["mean"] == pytest.approx(np.abs(values).mean())


def test_components_are_whole():
    from explorer.components import heat_maps

    for component in (brush, heat_maps):
        found = component.assets()
        assert "export default" in found["js"] and "import " not in found["js"].replace("// import", "")
        assert set(re.findall(r"var\(--([\w-]+)\)", found["css"])) <= set(PALETTE["light"])


def test_figures_are_drawn():
    shares = np.linspace(0, 1, 5)
    curves = {
        name: Curve(shares, shares) for name in ("deletion", "insertion", "deletion, random", "insertion, random")
    }
    zero = np.zeros((4, 4), np.float32)
    half = Halves(torch.full((4, 4), 0.1), torch.full((4, 4), -0.05), 3.0, 2.2, 1.5, 3.5)
    for scheme in ("light", "dark"):
        assert len(attribution_plots.curves_figure(curves, scheme).data) == 4
        assert len(attribution_plots.cascade_figure(("nothing", "stem"), np.array([1.0, 0.1]), scheme).data) == 1
        bars = attribution_plots.halves_figure({"Stage 3": half}, scheme).data
        assert bars[0].y[0] == pytest.approx(1.6) and bars[2].y[0] == pytest.approx(0.8)
    row = attribution_plots.halves_table({"Stage 3": half})[0]
    assert row["λᶜ + λᵖ"] == pytest.approx(row["logit − logit without the layer"] + row["error"])
    photo = images.gallery_picture("coffee").image.resize((16, 16))
    figure = attribution_plots.maps_figure(photo, {"a": zero, "b": zero - 1}, {"a": True, "b": True})
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["Photo", "a", "b"]


def test_the_program_runs(capsys):
    program = attribution_exports.snippet(
        network=loading.HOME, picture=images.expression("coffee"), target=1, layer="stages.3.1.mix",
        methods=["saliency", "grad_cam"],
    )  # fmt: skip
    exec(compile(program, "maps.py", "exec"), {})
    said = capsys.readouterr().out
    assert len(re.findall("hottest at row", said)) == 2 and "position" in said
