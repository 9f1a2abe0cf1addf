"""What a step of the optimizer is made of: what decays, how the learning rate goes, how weights are averaged."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lambda_core.layers.face import embeds

OPTIMIZERS = {
    "adamw": lambda groups, lr, fused: torch.optim.AdamW(groups, lr=lr, fused=fused),
    "sgd": lambda groups, lr, fused: torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=fused),
}


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; norms, biases and position embeddings do not, whichever layer they are of."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (free if parameter.dim() < 2 or embeds(name) else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def schedule(step: int, total: int, warmup: float) -> float:
    """Share of the peak learning rate: linear up over `warmup` of the steps, then half a cosine to zero."""
    start = max(1, round(total * warmup))
    if step < start:
        return (step + 1) / start
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - start) / max(1, total - start))))


def averaging(decay: float) -> Callable[[Any, Any, Any], None]:
    """An exponential moving average for AveragedModel that starts short: step t keeps min(decay, (1 + t) / (10 + t)).

    Without the start the average of a short run would still be half its random beginning.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        taken = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, taken)
        else:  # counts of batches
            torch._foreach_copy_(averaged, current)

    return update
