"""Files that would take far more memory than they have bytes are refused before anything is spent."""

import io
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
