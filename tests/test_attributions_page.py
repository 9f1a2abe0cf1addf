"""The attributions page without a browser: it answers, long work finishes or is given up, exports run."""

import re
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from explorer import (
    attribution_brush,
    attribution_exports,
    attribution_plots,
    attribution_view,
    attributions,
    images,
    loading,
)
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


def test_methods_stay_chosen_while_another_page_is_open(monkeypatch):
    fast(monkeypatch)
    app = start(PAGE)
    app.button_group(key="attribution_methods").set_value(CHEAP[1:]).run()
    app.switch_page("../pages/predictions.py").run()
    app.switch_page(PAGE).run()
    assert not app.exception
    assert app.button_group(key="attribution_methods").value == CHEAP[1:]


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
    shown = next(c.value for c in app.caption if "baseline" in c.value)
    assert "Over the baseline, a picture of the mean colour alone," in shown and "plain picture" not in shown
    rise, total, error = map(float, re.findall(r"[+-]\d+\.\d+", shown.replace("−", "-")))
    assert total - rise == pytest.approx(error, abs=1e-9), "what is printed adds up"
    checkpoint = load_checkpoint(loading.HOME)
    x = prepare(images.gallery_picture("coffee").image, checkpoint.preprocess)
    with torch.no_grad():
        logits, plain = checkpoint.model(torch.cat([x, torch.zeros_like(x)]))
    assert rise == pytest.approx((logits - plain)[logits.argmax()].item(), abs=2e-3)


def test_a_method_that_is_exact_has_no_negative_zero(monkeypatch):
    """A sum a hair below the rise: the difference of what is printed is nothing."""
    fast(monkeypatch)
    said = []
    monkeypatch.setattr(attributions, "rise", lambda _question: 1.2340004)
    monkeypatch.setattr(attribution_view.st, "caption", said.append)
    attribution_view._complete(None, {"integrated_gradients": np.array([[1.2339996]])})
    assert said[0].endswith("Integrated Gradients sums to +1.234, error 0.000.")


def test_numbers_have_a_true_minus_and_no_signed_zero():
    assert [attributions.number(value) for value in (-0.29, -0.004, 0.004, 1.156)] == ["−0.29", "0.00", "0.00", "1.16"]
    assert [attributions.number(value, 3, sign=True) for value in (0.5, -0.5, -0.0001, 0.0)] == [
        "+0.500", "−0.500", "0.000", "0.000",
    ]  # fmt: skip
    assert attributions.step(1.1551, 0.8649) == "−0.30", "as 1.16 and 0.86 are printed"


def test_the_change_of_the_logit_is_that_of_the_logits_shown(monkeypatch):
    fast(monkeypatch)
    monkeypatch.setattr(attributions, "logits", lambda _picture, mask=None, _fill="blur": (
        np.array([1.1551, *[0.0] * 9], np.float32) if mask is None or not mask.any()
        else np.array([0.8649, *[0.0] * 9], np.float32)
    ))  # fmt: skip
    app = start(PAGE)
    app.button(key="attribution_cover").click().run()
    assert "1.16 → 0.86 (−0.30)." in caption(app)


def test_another_picture_starts_uncovered_and_ticks_no_task(monkeypatch):
    """The mask belongs to the picture on which it was painted."""
    fast(monkeypatch)
    app = start(PAGE)
    app.slider(key="attribution_share").set_value(50).run()
    app.button(key="attribution_cover").click().run()
    assert "Covered: 50 %" in caption(app)
    version = app.session_state["attribution_mask_version"]
    app.session_state["tasks_done"] = set()
    app.button(key="pick_cat").click().run()
    assert not app.exception
    assert "Covered: 0 %" in caption(app) and "(0.00)" in caption(app)
    assert app.session_state["attribution_mask_version"] > version, "the browser has to follow"
    assert "brush" not in app.session_state["tasks_done"]
    app.run()
    assert app.session_state["attribution_mask_version"] == version + 1, "it is sent once"


def test_another_network_starts_uncovered(monkeypatch):
    fast(monkeypatch)
    app = start(PAGE)
    app.button(key="attribution_cover").click().run()
    assert "Covered: 10 %" in caption(app)
    app.selectbox(key="network_choice").set_value("micro_content").run()
    assert not app.exception
    assert "Covered: 0 %" in caption(app)


def test_a_stroke_on_the_picture_before_is_not_laid_on_this_one(monkeypatch):
    """It was on its way when the picture changed."""
    full = to_text(np.ones((GRID, GRID), bool))
    session = {"attribution_mask": np.zeros((GRID, GRID), bool), "attribution_mask_version": 2}
    monkeypatch.setattr(attribution_brush.st, "session_state", session)
    for sent in (None, "ff", {}, {"digits": full, "version": 1, "stroke": 1}):
        session["attribution_brush"] = {"mask": sent}
        attribution_brush._follow()
        assert not session["attribution_mask"].any()
    session["attribution_brush"] = {"mask": {"digits": full, "version": 2, "stroke": 1}}
    attribution_brush._follow()
    assert session["attribution_mask"].all()


def test_classes_that_are_numbers_stand_apart_from_their_share(monkeypatch):
    fast(monkeypatch)
    home = load_checkpoint(loading.HOME)
    digits = Checkpoint(home.model, tuple("0123456789"), home.preprocess, home.card)
    monkeypatch.setattr(loading, "checkpoint", lambda: digits)
    app = start(PAGE)
    for label in app.button_group(key="attribution_class").options:
        assert re.fullmatch(r"\d · \d+(\.\d)? %", label)


def test_without_a_method_the_page_asks_for_one_and_keeps_what_was_set(monkeypatch):
    fast(monkeypatch)
    app = start(PAGE)
    app.slider(key="attribution_share").set_value(35).run()
    chosen = app.button_group(key="attribution_methods").value
    app.button_group(key="attribution_methods").set_value([]).run()
    assert not app.exception
    shown = [c.value for c in app.caption]
    assert not [text for text in shown if text.startswith("The maps explain")]
    assert [text for text in shown if text.startswith("Choose a method above to see")]
    assert not [e for e in app.expander if e.label == "What each method computes"]
    app.button_group(key="attribution_methods").set_value(chosen).run()
    assert app.slider(key="attribution_share").value == 35


def test_cover_and_uncover(monkeypatch):
    fast(monkeypatch)
    app = start(PAGE)
    assert "Covered: 0 %" in caption(app)
    app.slider(key="attribution_share").set_value(25).run()
    app.button(key="attribution_cover").click().run()
    assert not app.exception
    assert "Covered: 25 %" in caption(app)
    assert "(0.00)" not in caption(app)
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
    parts = ("nothing", "classify", "stages.3", "stages.2", "stem")
    drawn = attribution_plots.cascade_figure(parts, np.linspace(1, 0, 5), "light").data[0]
    assert list(drawn.x) == ["nothing", "classifier", "Stage 4", "Stage 3", "stem"], "as the page names them elsewhere"
    exact = Halves(torch.full((1, 1), -1e-5), torch.full((1, 1), 1.0), 2.0, 1.0, 1.0, 2.0)
    shown = attribution_plots.halves_table({"Stage 3": exact})[0]
    assert "-0.000" not in [f"{value:+.3f}" for value in list(shown.values())[1:]]
    odd = Halves(torch.full((1, 1), 0.1086), torch.full((1, 1), 1.1497), 2.0, 0.7394, 1.0, 2.0)
    shown = attribution_plots.halves_table({"Stage 3": odd})[0]
    assert list(shown.values())[1:6] == [0.109, 1.15, 1.259, 1.261, -0.002], "what is printed adds up"
    row = attribution_plots.halves_table({"Stage 3": half})[0]
    assert row["λᶜ + λᵖ"] == pytest.approx(row["logit − logit without the layer"] + row["error"])
    photo = images.gallery_picture("coffee").image.resize((16, 16))
    hues = {"a": "lambda", "b": "output"}
    figure = attribution_plots.maps_figure(photo, {"a": zero, "b": zero - 1}, {"a": True, "b": True}, hues)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["Photo", "a", "b"]
    assert [axes.images[1].cmap.name for axes in figure.axes[1:3]] == ["lambda", "output"], "as on the page"
    assert [axes.get_ylabel().split()[-1] for axes in figure.axes[-2:]] == ["pixel", "position"]


def test_the_program_runs(capsys):
    program = attribution_exports.snippet(
        network=loading.HOME, picture=images.expression("coffee"), target=1, layer="stages.3.1.mix",
        methods=["saliency", "grad_cam"],
    )  # fmt: skip
    exec(compile(program, "maps.py", "exec"), {})
    said = capsys.readouterr().out
    assert len(re.findall("hottest at row", said)) == 2 and "position" in said


@pytest.mark.parametrize(("network", "half"), [("micro_content", "content"), ("micro_position", "position")])
def test_a_network_with_one_half_has_nothing_of_the_other(monkeypatch, network, half):
    fast(monkeypatch)
    split = Halves(torch.ones(8, 8), torch.zeros(8, 8), 2.0, 1.0, 1.5, 1.2)
    monkeypatch.setitem(
        attributions.WORK, "halves",
        lambda *_: {info.path: split for info in loading.lambda_layers(load_checkpoint(network).model)},
    )  # fmt: skip
    app = start(PAGE, network=network)
    assert "two halves" not in " ".join(text.value for text in app.markdown)
    assert app.button(key="attribution_halves").label == "Split the logit over the layers"
    app.button(key="attribution_halves").click().run()
    assert not app.exception
    sign, other = ("λᶜ", "λᵖ") if half == "content" else ("λᵖ", "λᶜ")
    columns = list(app.dataframe[0].value.columns)
    assert sign in columns and not any(other in name for name in columns)
    assert not any(other in caption.value for caption in app.caption)


def test_the_table_of_one_half_adds_up():
    split = Halves(torch.full((2, 2), 0.25), torch.zeros(2, 2), 2.0, 1.0, 1.5, 1.2)
    row = attribution_plots.halves_table({"Stage 3": split}, ["content"])[0]
    assert (row["λᶜ"], row["error"], row["without λᶜ"]) == (1.0, 0.0, -0.5)
    assert len(attribution_plots.halves_figure({"Stage 3": split}, "light", ["content"]).data) == 2


def test_what_failed_for_one_network_is_tried_on_another(monkeypatch):
    question, job = Question(images.gallery_picture("coffee"), 0, "stages.2.0.mix"), Job("map", "occlusion")
    session = {}
    monkeypatch.setattr(attribution_view.st, "session_state", session)
    monkeypatch.setattr(attributions, "known", lambda *_: None)
    for name in ("first", "second"):
        monkeypatch.setattr(loading, "network_key", lambda name=name: name)
        assert attribution_view.pending(question, ["occlusion"]) == [job]
        assert attribution_view._about(question) not in session.get("attribution_failed", {}), "it did not fail"
        attribution_view._fail(question, job, "it did not")
        assert attribution_view.pending(question, ["occlusion"]) == []


def test_a_half_covered_pixel_is_half_covered(monkeypatch):
    """The mask has 64 cells a side; a network of fewer pixels sees the mean of those over each."""
    picture, seen = images.gallery_picture("coffee"), []
    small = replace(load_checkpoint("lambda_resnet_mini"), preprocess={"size": 32, "mean": [0] * 3, "std": [1] * 3})
    monkeypatch.setattr(loading, "checkpoint", lambda: small)
    monkeypatch.setattr(loading, "network_key", lambda: "32 px")
    monkeypatch.setattr(attributions, "replaced", lambda x, mask, fill: seen.append(mask) or x)
    mask = np.zeros((64, 64), bool)
    mask[:, ::2] = True
    attributions.logits(picture, mask)
    assert seen[0].shape == (1, 1, 32, 32) and (seen[0] == 0.5).all()
