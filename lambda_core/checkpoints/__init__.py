"""Checkpoints: weights with a model card, the trained networks that ship in `zoo/`, and weights of other projects."""

from lambda_core.checkpoints.files import (
    Checkpoint,
    fingerprint,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    zoo,
)
from lambda_core.checkpoints.fit import CheckpointRefused, Mismatch
from lambda_core.checkpoints.from_d_li14 import from_d_li14, to_d_li14
from lambda_core.checkpoints.from_lucidrains import from_lucidrains, to_lucidrains
from lambda_core.checkpoints.from_timm import from_timm, to_timm

__all__ = [
    "Checkpoint",
    "CheckpointRefused",
    "Mismatch",
    "fingerprint",
    "from_d_li14",
    "from_lucidrains",
    "from_timm",
    "load_checkpoint",
    "read_checkpoint",
    "save_checkpoint",
    "to_d_li14",
    "to_lucidrains",
    "to_timm",
    "zoo",
]
