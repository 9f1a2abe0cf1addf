"""Files that would take far more memory than they have bytes are refused before anything is spent."""

import io
import zipfile

import pytest
import torch

from lambda_core import build
from lambda_core.checkpoints import CheckpointRefused, read_checkpoint


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


def test_layers_may_share_their_weights():
    model = build("lambda_resnet_micro", num_classes=2, share_embeddings=True)
    assert read_checkpoint(state(model.state_dict(), share_embeddings=True))
