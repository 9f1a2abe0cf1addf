"""A forward and a backward function made into one differentiable operator, which torch.compile takes as it is.

The position sum is linear in each of q, v and E. Its derivative along a change of all three is therefore three position
sums, and so its second derivatives, and those after them, need no formula of their own.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lambda_core.functional import wide
from lambda_core.positions import Size

Output = Callable[[Tensor, Tensor, Tensor, Size], Tensor]
Gradients = Callable[[Tensor, Tensor, Tensor, Tensor, Size], tuple[Tensor, Tensor, Tensor]]


CACHE = 2**20  # numbers: small enough to stay in the cache of a CPU
MEMORY = 2**26


def room(x: Tensor) -> int:
    """Numbers that a piece of the work may hold: on another device the cache does not matter."""
    return CACHE if x.device.type == "cpu" else MEMORY


def empty_output(q: Tensor, v: Tensor) -> Tensor:
    """Room for y (b, h, n, v), its channels last in memory where those of q (b, h, n, k) are."""
    b, h, n, _ = q.shape
    if q.stride(2) == 1 < n:
        return q.new_empty(b, h, v.shape[2], n).transpose(2, 3)
    return q.new_empty(b, n, h, v.shape[2]).transpose(1, 2)


def operator(name: str, output: Output, gradients: Gradients) -> Output:
    """`output(q, v, table, size)` as an engine whose gradients are `gradients(dy, q, v, table, size)`.

    Numbers of 16 bits are summed in float32. `output` returns what `empty_output` gives; `gradients` returns dq, dv and
    dE as `torch.empty_like` lays them out.
    """

    def forward(q: Tensor, v: Tensor, table: Tensor, rows: int, columns: int) -> Tensor:
        return output(q, v, table, (rows, columns))

    def backward(
        dy: Tensor, q: Tensor, v: Tensor, table: Tensor, rows: int, columns: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        return gradients(dy, q, v, table, (rows, columns))

    first = torch.library.custom_op(f"lambda_core::{name}_output", forward, mutates_args=())
    second = torch.library.custom_op(f"lambda_core::{name}_gradients", backward, mutates_args=())
    first.register_fake(lambda q, v, table, rows, columns: empty_output(q, v))
    second.register_fake(
        lambda dy, q, v, table, rows, columns: (torch.empty_like(q), torch.empty_like(v), torch.empty_like(table))
    )

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, rows, columns = inputs
        ctx.save_for_backward(*tensors)
        ctx.size = rows, columns

    def first_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        return *second(dy, *ctx.saved_tensors, *ctx.size), None, None

    def second_backward(ctx: Any, cq: Tensor, cv: Tensor, ctable: Tensor) -> tuple[Any, ...]:
        dy, q, v, table = ctx.saved_tensors
        along = first(cq, v, table, *ctx.size) + first(q, cv, table, *ctx.size) + first(q, v, ctable, *ctx.size)
        _, v1, table1 = second(dy, cq, v, table, *ctx.size)
        q2, _, table2 = second(dy, q, cv, table, *ctx.size)
        q3, v3, _ = second(dy, q, v, ctable, *ctx.size)
        return along, q2 + q3, v1 + v3, table1 + table2, None, None

    first.register_autograd(first_backward, setup_context=keep)
    second.register_autograd(second_backward, setup_context=keep)

    def engine(q: Tensor, v: Tensor, table: Tensor, size: Size) -> Tensor:
        return first(wide(q), wide(v), wide(table), *size).to(q.dtype)

    return engine
