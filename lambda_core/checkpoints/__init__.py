"""Checkpoints: weights with a model card, and the trained networks that ship in `zoo/`."""

from lambda_core.checkpoints.files import (
    Checkpoint,
    CheckpointRefused,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    zoo,
)

__all__ = ["Checkpoint", "CheckpointRefused", "load_checkpoint", "read_checkpoint", "save_checkpoint", "zoo"]
