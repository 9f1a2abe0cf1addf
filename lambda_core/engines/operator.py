"""A forward and a backward function made into one differentiable operator, which torch.compile takes as it is.

y_n = (λc + λp_n)ᵀ q_n is linear in q, in v and in E with λc. Its derivative along a change of all of them is therefore
three such sums, and so its second derivatives, and those after them, need no formula of their own.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lambda_core.engines import einsum
from lambda_core.functional import transformed, wide, without_autocast
from lambda_core.positions import Size

Output = Callable[[Tensor, Tensor, Tensor, Tensor, Size], Tensor]
Gradients = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Size], tuple[Tensor, Tensor, Tensor, Tensor]]


CACHE = 2**20  # numbers: small enough to stay in the cache of a CPU
MEMORY = 2**26
# Asked once, here: torch.compile does not see through the question.
CPU_HAS_BFLOAT16 = torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def room(x: Tensor) -> int:
    """Numbers that a piece of the work may hold: on another device the cache does not matter."""
    return CACHE if x.device.type == "cpu" else MEMORY


def empty_output(q: Tensor, v: Tensor) -> Tensor:
    """Room for y (b, h, n, v), its channels last in memory where those of q (b, h, n, k) are."""
    b, h, n, _ = q.shape
    if q.stride(2) == 1 < n:
        return q.new_empty(b, h, v.shape[2], n).transpose(2, 3)
    return q.new_empty(b, n, h, v.shape[2]).transpose(1, 2)


def narrows(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products of bfloat16, summed in float32, are quicker here than those of float32."""
    return dtype == torch.bfloat16 and (device.type == "cuda" or (device.type == "cpu" and CPU_HAS_BFLOAT16))


def operator(name: str, output: Output, gradients: Gradients, narrow: bool = False) -> Callable[..., Tensor]:
    """`output(q, v, table, content, size)` as an engine; `gradients(dy, q, v, table, content, size)` are its gradients.

    Numbers of 16 bits are summed in float32: they come as float32, or with `narrow`, which leaves that to the products,
    as bfloat16 where the device is made for it. `output` returns what `empty_output` gives; `gradients` returns dq, dv,
    dE and dλc as `torch.empty_like` lays them out. Neither is called for an empty batch.

    The transforms of torch.func look into a function and do not see into an operator: they are given the definition.
    """

    def forward(q: Tensor, v: Tensor, table: Tensor, content: Tensor, rows: int, columns: int) -> Tensor:
        if not len(q):
            return empty_output(q, v)
        with without_autocast(q.device.type):  # which is on where second derivatives are taken within it
            return output(q, v, table, content, (rows, columns))

    def backward(
        dy: Tensor, q: Tensor, v: Tensor, table: Tensor, content: Tensor, rows: int, columns: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if not len(q):
            return torch.zeros_like(q), torch.zeros_like(v), torch.zeros_like(table), torch.zeros_like(content)
        with without_autocast(dy.device.type):  # which is on where the backward pass is called within it
            return gradients(dy, q, v, table, content, (rows, columns))

    first = torch.library.custom_op(f"lambda_core::{name}_output", forward, mutates_args=())
    second = torch.library.custom_op(f"lambda_core::{name}_gradients", backward, mutates_args=())
    first.register_fake(lambda q, v, table, content, rows, columns: empty_output(q, v))
    second.register_fake(lambda dy, *inputs: tuple(torch.empty_like(x) for x in inputs[:4]))

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        *tensors, rows, columns = inputs
        ctx.save_for_backward(*tensors)
        ctx.size = rows, columns

    def first_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        return *second(dy, *ctx.saved_tensors, *ctx.size), None, None

    def second_backward(ctx: Any, cq: Tensor, cv: Tensor, ctable: Tensor, ccontent: Tensor) -> tuple[Any, ...]:
        dy, q, v, table, content = ctx.saved_tensors
        nothing, size = torch.zeros_like(content), ctx.size
        along = (
            first(cq, v, table, content, *size)
            + first(q, cv, table, nothing, *size)
            + first(q, v, ctable, ccontent, *size)
        )
        _, v1, table1, content1 = second(dy, cq, v, table, content, *size)
        q2, _, table2, _ = second(dy, q, cv, table, nothing, *size)
        q3, v3, _, _ = second(dy, q, v, ctable, ccontent, *size)
        return along, q2 + q3, v1 + v3, table1 + table2, content1, None, None

    first.register_autograd(first_backward, setup_context=keep)
    second.register_autograd(second_backward, setup_context=keep)

    def engine(q: Tensor, v: Tensor, table: Tensor, size: Size, content: Tensor | None = None) -> Tensor:
        if transformed():
            return einsum.engine(q, v, table, size, content)
        dtype = q.dtype if narrow and narrows(q.dtype, q.device) else wide(q).dtype
        lambdas = q.new_zeros(q.shape[0], q.shape[3], v.shape[2]) if content is None else content
        return first(q.to(dtype), v.to(dtype), table.to(dtype), lambdas.to(dtype), *size).to(q.dtype)

    return engine
