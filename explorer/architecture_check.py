"""What PyTorch itself counts of an architecture, beside what the page counts block by block."""

from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from explorer.architecture import Architecture
from explorer.blocks import Costs, measure
from lambda_core.meta import shapes_only
from lambda_core.models import build


@lru_cache(maxsize=64)
def counted(architecture: Architecture) -> tuple[int, int]:
    """(parameters, FLOPs of one image) of the network as it is built, by `numel` and PyTorch's FlopCounterMode."""
    with shapes_only():
        network = build(architecture.base, **architecture.overrides()).eval()
    image = torch.empty(1, 3, architecture.size, architecture.size, device="meta")
    with shapes_only(), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops()


def verdict(architecture: Architecture, found: Costs) -> str:
    """What the page counts block by block, against what PyTorch counts of the whole."""
    here, (params, flops) = measure(found.whole), counted(architecture)
    said = (
        f"check against PyTorch: {params:,} parameters (Δ {params - here['params']:,}), "
        f"{flops:,} FLOPs (Δ {flops - here['flops']:,})"
    )
    if flops != here["flops"]:
        said += ": its counter sees convolutions and matrix products alone, and local attention has other sums too"
    return said
