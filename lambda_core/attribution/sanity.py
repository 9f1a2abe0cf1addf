"""Does a map depend on what the network learned? Shuffle its weights, from the classifier down, and compare."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lambda_core.attribution.heat import attribute
from lambda_core.attribution.twin import Guard, Pace


@dataclass(frozen=True)
class Cascade:
    """names: what was shuffled last, "nothing" first. similarity: Spearman's ρ with the true map. maps: (s, H, W)."""

    names: tuple[str, ...]
    similarity: np.ndarray
    maps: Tensor


def groups(model: nn.Module) -> dict[str, nn.Module]:
    """The parts of a network that have weights, in the order in which they run; stages count one by one."""
    found: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        staged = isinstance(child, nn.Sequential) and any(isinstance(part, nn.Sequential) for part in child)
        parts = {f"{name}.{inner}": part for inner, part in child.named_children()} if staged else {name: child}
        found |= {path: part for path, part in parts.items() if any(True for _ in part.parameters())}
    return found


@torch.no_grad()
def shuffle(module: nn.Module, draw: torch.Generator) -> None:
    """Put the numbers of every weight tensor in a random order: their distribution stays, what was learned goes."""
    for weight in module.parameters():
        order = torch.randperm(weight.numel(), generator=draw).to(weight.device)
        weight.copy_(weight.flatten()[order].view_as(weight))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse.ravel()]


def spearman(a: Tensor, b: Tensor) -> float:
    """The correlation of the ranks of |a| and |b|: 1 for maps that point at the same places, 0 for unrelated ones."""
    x, y = (ranks(t.abs().flatten().cpu().numpy()) for t in (a, b))
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else 0.0


def cascade(
    model: nn.Module,
    x: Tensor,
    target: int,
    *,
    method: str,
    layer: str | None = None,
    seed: int = 0,
    lock: Guard | None = None,
    progress: Callable[[float], Any] | None = None,
    **options: Any,
) -> Cascade:
    """The map of one picture x (1, 3, H, W) again and again while more of the network is shuffled, classifier first.

    A map that hardly changes shows the picture, not the network (Adebayo et al. 2018, cascading randomisation; weights
    are permuted here where they drew new ones, so that each tensor keeps its distribution; running statistics stay as
    trained). lock, progress, options: see `attribute`.
    """
    with Pace(lock):
        own = copy.deepcopy(getattr(model, "_orig_mod", model))
    draw = torch.Generator().manual_seed(seed)
    parts = list(groups(own).items())[::-1]
    names, maps = ["nothing"], []
    for done in range(len(parts) + 1):
        if done:
            shuffle(parts[done - 1][1], draw)
            names.append(parts[done - 1][0])
        start = done

        def inner(share: float, start: int = start) -> None:
            if progress is not None:
                progress((start + share) / (len(parts) + 1))

        inner(0.0)
        maps.append(attribute(own, x, target, method=method, layer=layer, lock=lock, progress=inner, **options)[0])
    similarity = np.array([spearman(maps[0], found) for found in maps])
    return Cascade(tuple(names), similarity, torch.stack(maps))
