"""Files that take far more than they have bytes are refused; one is read at a time, and others' settings stay."""

import argparse
import io
import threading
import time
import zipfile

import pytest
import torch

from lambda_core import LambdaLayer, build
from lambda_core.checkpoints import CheckpointRefused, read_checkpoint, to_timm


@pytest.fixture
def weights():
    return build("lambda_resnet_micro", num_classes=2).state_dict()


def state(weights, **overrides) -> bytes:
    """As training leaves it."""
    architecture = {"name": "lambda_resnet_micro", "overrides": {"num_classes": 2, **overrides}}
    buffer = io.BytesIO()
    torch.save({"architecture": architecture, "average": {f"module.{n}": w for n, w in weights.items()}}, buffer)
    return buffer.getvalue()


def test_a_compressed_archive_is_refused_before_it_is_inflated(weights):
    content, packed = state(weights), io.BytesIO()
    assert read_checkpoint(content)
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
    with pytest.raises(CheckpointRefused, match="is compressed"):
        read_checkpoint(packed.getvalue())


def test_one_number_that_is_repeated_is_no_network(weights):
    repeated = {name: torch.zeros((), dtype=w.dtype).expand(w.shape) for name, w in weights.items()}
    with pytest.raises(CheckpointRefused, match="repeats them to"):
        read_checkpoint(state(repeated))


@pytest.mark.parametrize("wrapped", [True, False], ids=["of training", "of another project"])
def test_sparse_weights_get_a_sentence(weights, wrapped):
    sparse = {name: w.to_sparse() if w.dim() == 2 else w for name, w in weights.items()}
    buffer = io.BytesIO()
    torch.save(sparse, buffer)
    with pytest.raises(CheckpointRefused, match="sparse or quantized"):
        read_checkpoint(state(sparse) if wrapped else buffer.getvalue())


def test_a_layer_of_another_project_is_not_made_of_one_number():
    layer = to_timm(LambdaLayer(8, scope=3, dim_k=4, position_bias=True))
    buffer = io.BytesIO()
    torch.save({name: torch.zeros(()).expand(w.shape) for name, w in layer.items()}, buffer)
    with pytest.raises(CheckpointRefused, match="repeats them to"):
        read_checkpoint(buffer.getvalue())


def test_layers_may_share_their_weights():
    model = build("lambda_resnet_micro", num_classes=2, share_embeddings=True)
    assert read_checkpoint(state(model.state_dict(), share_embeddings=True))


def saved(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_a_dictionary_that_holds_itself_ends_in_a_sentence():
    alone, between = {}, {"w": torch.zeros(2)}
    alone["model"] = alone
    between["model"] = {"student": between}
    for content in (alone, between):
        with pytest.raises(CheckpointRefused, match="holds no weights"):
            read_checkpoint(saved(content))


ARCHITECTURE = {"name": "lambda_resnet_micro", "overrides": {"num_classes": 2}}


@pytest.mark.parametrize(
    "content",
    [
        {"architecture": "x", "average": 0.5},
        {"architecture": ARCHITECTURE, "average": [0.5]},
        {"architecture": ARCHITECTURE, "average": {"module.stem.0.weight": 0.5, 3: torch.zeros(2)}},
        {"architecture": ARCHITECTURE, "average": {"module.stem.0.weight": torch.zeros(2, device="meta")}},
    ],
    ids=["a word and a number", "a list", "numbers and keys that are none", "no numbers"],
)
def test_what_only_looks_like_a_state_of_training_is_refused(content):
    with pytest.raises(CheckpointRefused):
        read_checkpoint(saved(content))


def test_what_others_allow_in_files_stays_allowed(weights):
    with torch.serialization.safe_globals([argparse.Namespace]):
        before = set(torch.serialization.get_safe_globals())
        assert read_checkpoint(state(weights))
        assert set(torch.serialization.get_safe_globals()) == before


def test_threads_read_one_after_the_other(monkeypatch):
    """What may lie in a file is the process's: the first to be done would take it from the second."""
    content, load, inside, met = saved({"w": torch.zeros(2)}), torch.load, [], []

    def slow(*args, **options):
        inside.append(1)
        time.sleep(0.05)
        met.append(len(inside))
        inside.pop()
        return load(*args, **options)

    def read():
        with pytest.raises(CheckpointRefused, match="not the architecture"):
            read_checkpoint(content)

    monkeypatch.setattr(torch, "load", slow)
    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == [1, 1]
