"""An engine's answer beside the definition's, in float64.

At a few positions the definition is cheap on any map, also where all of its pairs would not fit in memory. Whoever
times engines asks here first: a wrong answer has no speed.
"""

import torch
from torch import Tensor, einsum

from lambda_core import positions
from lambda_core.engines import ENGINES

# Relative error that a type may leave: float32 sums in another order, 16 bits round each input and the output.
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-3}
PARTS = ("output", "dq", "dv", "dE", "dλc")
PLACES = 8


class Wrong(ArithmeticError):
    """An answer that differs from the definition by more than rounding."""


def error(found: Tensor, expected: Tensor) -> float:
    """||found - expected|| / ||expected||; infinite where a number is missing."""
    found, expected = (x.detach().cpu().double() for x in (found, expected))  # in this order: Apple's have no float64
    relative = float((found - expected).norm() / expected.norm().clamp_min(1e-30))
    return relative if relative == relative else float("inf")


def answers(name: str, tensors: list[Tensor], size: positions.Size, dy: Tensor) -> list[Tensor]:
    """The PARTS of that engine for [q, v, table] or [q, v, table, λc], as many as there are tensors, and one."""
    given = [tensor.detach().requires_grad_() for tensor in tensors]
    y = ENGINES[name](*given[:3], size, *given[3:])
    return [y, *torch.autograd.grad(y, given, dy.to(y))]


def _overlap(side: int, offset: int) -> tuple[slice, slice]:
    """Along an axis: the queries whose context at that offset is on the map, and that context."""
    return slice(max(0, -offset), side - max(0, offset)), slice(max(0, offset), side + min(0, offset))


def _at_offset(q: Tensor, v: Tensor, dy: Tensor, size: positions.Size, offset: tuple[int, int]) -> Tensor:
    """dE for one offset: sum over n, h of q_n (dy_n · V_(n + offset)).  -> (k, u)"""
    here, there = zip(*map(_overlap, size, offset), strict=True)
    queries, heads = (x.unflatten(2, size)[:, :, *here] for x in (q, dy))
    return einsum("bhijv,bijvu,bhijk->ku", heads, v.unflatten(1, size)[:, *there], queries)


def check(name: str, q: Tensor, v: Tensor, table: Tensor, size: positions.Size) -> None:
    """Raises Wrong unless the position part of that engine and its gradients are the definition's at random places.

    q (b, h, n, k), v (b, n, v, u), table (k, u, R, C) of a type in TOLERANCES.
    """
    dy = torch.randn(*q.shape[:3], v.shape[2], device=q.device).to(q)
    y, dq, dv, dtable = answers(name, [q, v, table], size, dy)
    places = torch.randint(q.shape[2], (PLACES,)).tolist()
    rows, columns = (side // 2 for side in table.shape[2:])
    reach = min(rows, size[0] - 1), min(columns, size[1] - 1)
    offsets = [(0, 0), *zip(*(torch.randint(-r, r + 1, (PLACES,)).tolist() for r in reach), strict=True)]

    q, v, table, dy = (x.detach().double() for x in (q, v, table, dy))
    lambdas = torch.stack([einsum("kum,bmvu->bkv", positions.around(table, size, n), v) for n in places], 1)
    backwards = table.flip(-2, -1)  # read from a place in the context, each query lies the other way
    found = {
        "output": (y[:, :, places], einsum("bhnk,bnkv->bhnv", q[:, :, places], lambdas)),
        "dq": (dq[:, :, places], einsum("bhnv,bnkv->bhnk", dy[:, :, places], lambdas)),
        "dv": (dv[:, places], torch.stack(
            [einsum("kun,bhnk,bhnv->bvu", positions.around(backwards, size, m), q, dy) for m in places], 1
        )),
        "dE": (torch.stack([dtable[..., rows + i, columns + j] for i, j in offsets]),
               torch.stack([_at_offset(q, v, dy, size, offset) for offset in offsets])),
    }  # fmt: skip
    for part, (one, other) in found.items():
        if not (off := error(one, other)) <= TOLERANCES[dtable.dtype]:
            raise Wrong(f"{name}: its {part} is off by {off:.1e} of the definition's")
