"""Is the map right? Cover what it points at, or show nothing else, and watch the network's answer."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from lambda_core.attribution.methods import BATCH
from lambda_core.attribution.twin import Guard, Pace, class_check, twin


def blurred(x: Tensor) -> Tensor:
    """A Gaussian of a twelfth of the shorter side: shapes go, colours stay."""
    sigma = min(x.shape[2:]) / 12
    half = max(1, min(math.ceil(2.5 * sigma), min(x.shape[2:]) - 1))
    return gaussian_blur(x, [2 * half + 1] * 2, [sigma] * 2)


# What may stand where something was taken away: name -> function(x) -> a picture of the same shape.
FILLS: dict[str, Callable[[Tensor], Tensor]] = {
    "blur": blurred,
    "mean": lambda x: x.mean((2, 3), keepdim=True).expand_as(x),
}


def replaced(x: Tensor, mask: Tensor, fill: str = "blur") -> Tensor:
    """x with what the mask covers replaced: (1 - mask) x + mask fill(x); mask (H, W) or (b, 1, H, W), from 0 to 1.

    fill: a name of FILLS. Raises ValueError for another.
    """
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {', '.join(FILLS)}, not {fill!r}")
    return torch.lerp(x, FILLS[fill](x), mask.to(x).expand_as(x))


@dataclass(frozen=True)
class Curve:
    """The probability of a class as more and more pixels are taken away (deletion) or given (insertion)."""

    shares: np.ndarray
    probabilities: np.ndarray

    @property
    def auc(self) -> float:
        """The area under it, from 0 to 1: low is good for deletion, high for insertion."""
        heights = (self.probabilities[1:] + self.probabilities[:-1]) / 2
        return float(heights @ np.diff(self.shares))


def curve(
    model: nn.Module,
    x: Tensor,
    target: int,
    heat: Tensor,
    *,
    insert: bool = False,
    steps: int = 24,
    fill: str = "blur",
    lock: Guard | None = None,
    progress: Callable[[float], Any] | None = None,
) -> Curve:
    """Take the pixels of one picture x (1, 3, H, W) away in the order of a heat map (H, W), hottest first.

    insert: begin with everything taken away and give the pixels back instead (Petsiuk et al. 2018, RISE, section 4.2,
    who blur where pixels are given back and take them away to one colour: fill says which it is here, both times).
    A random map is the measure of nothing. lock, progress: see `attribute`. Raises ValueError for more than one
    picture, for a map of another size, and for a class that is none.
    """
    if x.dim() != 4 or len(x) != 1:
        raise ValueError(f"curve takes one picture (1, 3, H, W), not {tuple(x.shape)}")
    if heat.shape != x.shape[2:]:
        raise ValueError(f"the heat map must be as large as the picture, {tuple(x.shape[2:])}, not {tuple(heat.shape)}")
    rank = torch.empty(heat.numel(), device=x.device)
    rank[heat.to(x.device).flatten().argsort(descending=True, stable=True)] = torch.arange(heat.numel()).to(rank)
    counts = torch.linspace(0, heat.numel(), steps + 1, device=x.device)
    chosen = (rank[None] < counts[:, None]).unflatten(1, heat.shape)[:, None]  # (steps + 1, 1, H, W)
    masks = (~chosen if insert else chosen).to(x)
    found = []
    with Pace(lock, progress, math.ceil(len(masks) / BATCH)) as pace, torch.no_grad():
        own = twin(model)
        own.register_forward_pre_hook(pace.before)
        own.register_forward_hook(class_check(target))
        for group in masks.split(BATCH):
            logits = own(replaced(x.expand(len(group), -1, -1, -1), group, fill))
            found.append(logits.float().softmax(1)[:, target])
    return Curve((counts / heat.numel()).cpu().numpy(), torch.cat(found).cpu().numpy())
