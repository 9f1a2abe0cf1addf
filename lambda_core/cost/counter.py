"""PyTorch's FLOP counter learns what our operators take. It cannot look into them, and would count nothing."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry, register_flop_formula

from lambda_core.engines import ENGINES

Shape = tuple[int, ...]


def forward(q: Shape, v: Shape, table: Shape, content: Shape, rows: int, columns: int, **_: Any) -> int:
    """Of shapes: 2·n·m·k·v·u and 2·h·n·k·v for each image, whatever the order of an engine. m as in `profile`,
    but for causal layers: an engine is given the future half of their table too, as zeros.
    """
    b, heads, n, k = q
    inside = min(table[2], rows) * min(table[3], columns)
    return 2 * b * n * k * v[2] * (inside * v[3] + heads)


def backward(dy: Shape, *inputs: Any, **named: Any) -> int:
    """Each product has two factors, and a gradient for each."""
    return 2 * forward(*inputs, **named)


def pointwise(a: torch.Size, weight: torch.Size, *_: Any, **__: Any) -> int:
    """MKL's product of rows a with weightᵀ, which `engines.matmul` takes in place of a plain one."""
    return 2 * a.numel() * weight[0]


def register() -> None:
    """Once a process: what has a formula keeps it, since PyTorch refuses another."""
    found: dict[Any, Callable[..., int]] = {
        getattr(torch.ops.lambda_core, f"{name}_{suffix}", None): formula
        for name in ENGINES
        for suffix, formula in (("output", forward), ("gradients", backward))
    }
    found[getattr(torch.ops.mkldnn, "_linear_pointwise", None)] = pointwise
    for operator, formula in found.items():
        if operator is not None and operator not in flop_registry:
            register_flop_formula(operator)(formula)


register()
