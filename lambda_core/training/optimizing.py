"""What a step of the optimizer is made of: what decays, how the learning rate goes, how weights are averaged."""

import math
from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

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


def averaging(decay: float) -> Callable[[list[Tensor], list[Tensor], int], None]:
    """An exponential moving average of tensors of one kind that starts short.

    Step t, from 1 on, keeps min(decay, (1 + t) / (10 + t)) of what was, and step 0 nothing. Without the start the
    average of a short run would still be half its random beginning.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: int) -> None:
        if count and averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + count) / (10 + count)))
        else:  # also counts of batches
            torch._foreach_copy_(averaged, current)

    return update


class Average(AveragedModel):
    """The averaged weights and statistics of a network, see `averaging`, in the state dict of AveragedModel.

    That one copies its count to where the weights are, at each step, and so waits for all that a GPU has to do.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self.update = averaging(decay)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        kinds: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
        averaged, current = (chain(part.parameters(), part.buffers()) for part in (self.module, model))
        for mine, theirs in zip(averaged, current, strict=True):
            own, others = kinds.setdefault(mine.dtype, ([], []))
            own.append(mine)
            others.append(theirs)
        for own, others in kinds.values():
            self.update(own, others, int(self.n_averaged))  # which lies on the CPU
        self.n_averaged += 1
