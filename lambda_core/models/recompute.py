"""Gradient checkpointing of the blocks of a network: less memory for more arithmetic."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    """x -> `run(x)`. Where `recompute` is set, training stores x alone and runs again in the backward pass.

    The second run leaves the statistics of batch norms as the first one made them. Compiled, a block runs once: what
    to store and what to compute again is for torch.compile to decide.
    """

    recompute = False

    def run(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        once = not (self.recompute and self.training and torch.is_grad_enabled())
        if once or torch.compiler.is_compiling():
            return self.run(x)
        return checkpoint(self.run, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _Still(self)))


class _Still(AbstractContextManager):
    """Within it, batch norms keep their statistics. It may be entered again, as for a second backward pass."""

    def __init__(self, block: nn.Module) -> None:
        self.norms = [part for part in block.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]

    def __enter__(self) -> None:
        self.momenta = [norm.momentum for norm in self.norms]
        self.counted = [norm.num_batches_tracked for norm in self.norms]
        for norm, counted in zip(self.norms, self.counted, strict=True):
            norm.momentum = 0.0
            norm.num_batches_tracked = None if counted is None else counted.clone()

    def __exit__(self, *_: object) -> None:
        for norm, momentum, counted in zip(self.norms, self.momenta, self.counted, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, counted
