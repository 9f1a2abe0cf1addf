"""Whether a network that a visitor brought can answer at all: tried once, before any page shows it."""

import torch

from lambda_core.checkpoints import Checkpoint, CheckpointRefused
from lambda_core.evaluation import answers_of


def check(loaded: Checkpoint) -> None:
    """Raises CheckpointRefused, with the reason and a way on, for a network that could answer on no page.

    It must say how a picture is prepared, hold finite weights, and give finite scores for a picture of its own size:
    that of the data's mean colour, all zeros.
    """
    side = int(loaded.preparation()["size"])
    loaded.check_scores()
    if odd := [name for name, weight in loaded.model.state_dict().items() if not weight.isfinite().all()]:
        raise CheckpointRefused(
            f"{len(odd)} of its tensors hold NaN or infinity, {odd[0]} is the first: use a checkpoint from before "
            "the training diverged"
        )
    try:
        found = answers_of(loaded.model, torch.zeros(1, 3, side, side))
    except (RuntimeError, ValueError) as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise CheckpointRefused(f"the network gives no scores for pictures of {side} × {side} px ({said})") from error
    if not torch.from_numpy(found.logits).isfinite().all():
        raise CheckpointRefused(
            f"its scores for a plain picture of {side} × {side} px are NaN or infinite: use a checkpoint from before "
            "the training diverged"
        )
