"""The checks of a map on the attributions page, and its brush: what they say is what the library finds."""

import re

import pytest
import torch
from torch.nn import functional as F

from explorer import attributions, images, loading
from explorer.attributions import Store
from lambda_core import load_checkpoint
from lambda_core.attribution import attribute, cascade, curve, replaced
from lambda_core.data import prepare
from tests.test_attributions_page import PAGE, caption
from tests.test_pages import start

NETWORK = "micro_ccll"


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+\.\d+", text.replace("−", "-"))]


def told(app, beginning):
    """The numbers of the one caption that begins so."""
    (found,) = (caption.value for caption in app.caption if caption.value.startswith(beginning))
    return numbers(found)


def test_curves_shuffled_weights_and_a_covered_part_are_those_of_the_library(monkeypatch):
    monkeypatch.setattr(attributions, "_store", lambda store=Store(): store)  # noqa: B008  (one for the test)
    app = start(PAGE, network=NETWORK)
    assert app.selectbox(key="attribution_checked").value != "grad_cam"
    app.selectbox(key="attribution_checked").set_value("grad_cam").run()
    for key in ("attribution_curves", "attribution_cascade"):
        app.button(key=key).click().run()
        assert not app.exception
    checkpoint = load_checkpoint(NETWORK)
    model, x = checkpoint.model, prepare(images.gallery_picture("coffee").image, checkpoint.preprocess)
    with torch.no_grad():
        logits = model(x)[0]
    target, how = int(logits.argmax()), {"method": "grad_cam", "layer": loading.lambda_layers(model)[0].path}
    heat = attribute(model, x, target, **how)[0]
    chance = torch.rand(heat.shape, generator=torch.Generator().manual_seed(0))
    areas = [curve(model, x, target, order, insert=insert).auc for insert in (False, True) for order in (heat, chance)]
    assert told(app, "Area under the curve: deletion") == pytest.approx(areas, abs=6e-4)
    end = cascade(model, x, target, **how).similarity[-1]
    assert told(app, "Rank correlation with the true map at the end") == pytest.approx([end], abs=6e-3)

    app.segmented_control(key="attribution_fill").set_value("mean").run()
    app.button(key="attribution_cover").click().run()
    assert not app.exception and "Covered: 10 %" in caption(app)
    mask = torch.from_numpy(app.session_state["attribution_mask"]).float()[None, None]
    with torch.no_grad():
        covered = model(replaced(x, F.interpolate(mask, x.shape[2:], mode="area"), "mean"))[0]
    expected = [float(found[target]) for found in (logits, covered)]
    assert numbers(caption(app))[:2] == pytest.approx(expected, abs=6e-3)
