"""Gradient checkpointing of the blocks of a network: less memory for more arithmetic."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lambda_core.models.blocks import Bottleneck


def recompute_blocks(model: nn.Module) -> None:
    """Gradient checkpointing: bottlenecks store their input alone and run again in the backward pass.

    The second run leaves the running statistics of batch norms as the first one made them.
    """
    for block in model.modules():
        if isinstance(block, Bottleneck):
            block.forward = _recomputed(block)  # type: ignore[method-assign]


def _recomputed(block: Bottleneck) -> Any:
    plain, norms = block.forward, [m for m in block.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]

    class Still(AbstractContextManager):
        def __enter__(self) -> None:
            self.momenta = [norm.momentum for norm in norms]
            for norm in norms:
                norm.momentum = 0.0

        def __exit__(self, *_: object) -> None:
            for norm, momentum in zip(norms, self.momenta, strict=True):
                norm.momentum = momentum

    def forward(x: Tensor) -> Tensor:
        if not (block.training and torch.is_grad_enabled()):
            return plain(x)
        return checkpoint(plain, x, use_reentrant=False, context_fn=lambda: (nullcontext(), Still()))

    return forward
