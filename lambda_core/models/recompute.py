"""Gradient checkpointing of the blocks of a network: less memory for more arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    """x -> `run(x)`. Where `recompute` is set, training stores x alone and runs again in the backward pass.

    The second run leaves the running statistics of batch norms as the first one made them.
    """

    recompute = False

    def run(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if not (self.recompute and self.training and torch.is_grad_enabled()):
            return self.run(x)
        return checkpoint(self.run, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _still(self)))


@contextmanager
def _still(block: nn.Module) -> Iterator[None]:
    norms = [module for module in block.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
