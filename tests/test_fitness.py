"""A network that could answer on no page is refused, in a sentence, before any page shows it."""

import pytest
import torch

from explorer import fitness, loading
from explorer.images import gallery_picture
from lambda_core import build, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import CheckpointRefused
from tests.test_predictions import send, shown, start

SEEN = {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3}


def broken(path, *, change=lambda model: None, preprocess=SEEN, **options):
    """A file with a network that `change` has spoilt."""
    options = {"num_classes": 3, **options}
    model = build("lambda_resnet_mini", **options)
    with torch.no_grad():
        change(model)
    architecture = {"name": "lambda_resnet_mini", "overrides": options}
    save_checkpoint(path, model, architecture=architecture, preprocess=preprocess)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"preprocess": {}}, "how a picture is prepared"),
        ({"change": lambda model: model.classify.weight[0].fill_(float("nan"))}, "classify.weight is the first"),
        ({"change": lambda model: model.stem[1].running_var.fill_(-1)}, "NaN or infinite"),
        ({"scope": None, "image_size": 64, "preprocess": {**SEEN, "size": 128}}, "128 × 128 px"),
        ({"num_classes": 0}, "ends in features"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_could_answer_on_no_page_is_refused(tmp_path, how, words):
    content = broken(tmp_path / "mine.safetensors", **how)
    with pytest.raises(CheckpointRefused, match=words) as refused:
        loading.opened("mine.safetensors", content)
    assert "\n" not in str(refused.value)
    assert not loading.LOCK.locked()


def test_what_can_answer_passes_and_keeps_no_hook(tmp_path):
    _, found = loading.opened("mine.safetensors", broken(tmp_path / "mine.safetensors"))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in found.model.modules())
    fitness.check(load_checkpoint(loading.HOME))


def test_the_page_keeps_the_old_network_and_says_why(tmp_path):
    app = start()
    send(app, "first", broken(tmp_path / "mine.safetensors", preprocess={}))
    assert "how a picture is prepared" in shown(app) and "checkpoint" not in app.session_state
    assert gallery_picture("coffee").title in shown(app)
