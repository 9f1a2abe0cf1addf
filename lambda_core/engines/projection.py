"""Several 1x1 projections of one map in one pass: W_1 x, W_2 x, ..., and the gradient of x once for all of them.

On one CPU thread PyTorch runs a 1x1 convolution as a product of MKL's, see `matmul`, and each of three projections
would write a gradient of x of its own, to be added up. A few examples at a time, what is worked on stays in the cache.
The results have their channels last in memory, which is how the engines read them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lambda_core.engines.matmul import product
from lambda_core.engines.operator import narrows
from lambda_core.functional import transformed, wide

COLUMNS = 1600  # positions that are worked off together


def _together(x: Tensor) -> int:
    """Examples that are worked off together: small maps make a matrix that is worth a call."""
    return max(1, COLUMNS // x.shape[2])


def _columns(x: Tensor) -> Tensor:
    """(b, d, n) -> (d, b n)"""
    return x.transpose(0, 1).flatten(1)


def _rows(x: Tensor) -> Tensor:
    """(b, d, n) -> (b n, d), if need be a copy: a product reads rows faster than columns, even with the copy."""
    return x.mT.contiguous().flatten(0, 1)


class _Project(torch.autograd.Function):
    """x (b, d, n), weights (c, d) each -> (b, n, c) each"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, *weights)
        depths, every = [len(w) for w in weights], torch.cat(weights)
        outputs = tuple(x.new_empty(len(x), x.shape[2], depth) for depth in depths)
        for part, *places in zip(*(t.split(_together(x)) for t in (x, *outputs)), strict=True):
            found = product(_rows(part), every.t()).split(depths, 1)
            for place, rows in zip(places, found, strict=True):
                place.copy_(rows.view(len(part), -1, rows.shape[1]))
        return outputs

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> tuple[Tensor, ...]:
        x, *weights = ctx.saved_tensors
        if torch.is_grad_enabled() or any(map(_many, dys)):  # this gradient shall have one of its own, or is many
            dx = sum(((dy @ w).mT for w, dy in zip(weights, dys, strict=True)), torch.zeros_like(x))
            return dx, *((x @ dy).sum(0).t() for dy in dys)
        dx, every, last = torch.empty_like(x), torch.cat(weights), x.mT.is_contiguous()
        dweights = torch.zeros_like(every, dtype=wide(every).dtype)
        if not last:
            every = every.t().contiguous()
        for part, place, *dy in zip(*(t.split(_together(x)) for t in (x, dx, *dys)), strict=True):
            d = torch.cat(dy, 2).flatten(0, 1)  # (b n, every c)
            if last:
                place.mT.copy_(product(d, every).view(place.mT.shape))
                dweights += product(d.t(), _rows(part))
            else:
                place.copy_(product(every, d.t()).unflatten(1, (len(part), -1)).transpose(0, 1))
                dweights += product(d.t(), _columns(part).t())
        return dx, *dweights.to(every.dtype).split([len(w) for w in weights])


class _ChannelsFirst(torch.autograd.Function):
    """(b, c, n), channels last in memory -> the same in order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.new_empty(x.shape)
        if torch.get_num_threads() > 1:
            return y.copy_(x)
        for source, target in zip(x, y, strict=True):
            target.copy_(source)  # two axes at a time, which PyTorch transposes block by block, on one thread
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        return dy  # engines read it as it lies, which takes no memory


def _many(dy: Tensor) -> bool:
    """Whether it stands for several gradients, which torch.autograd.grad(is_grads_batched=True) computes at once."""
    return bool(torch._C._functorch.is_legacy_batchedtensor(dy))


def looked_into() -> bool:
    """Whether torch.compile, torch.jit.trace or a transform looks at each operation, and takes no function of ours."""
    return torch.compiler.is_compiling() or torch.jit._trace.is_tracing() or transformed()


def _dtype(x: Tensor) -> torch.dtype:
    """What a convolution of this tensor would run in."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def fits(x: Tensor, weights: list[Tensor]) -> bool:
    """Whether `project` is faster: on a CPU, not compiled, in float32, or bfloat16 where the CPU is made for it."""
    if looked_into() or x.device.type != "cpu" or x.dim() != 4 or len(x) < 2:
        return False
    known = {_dtype(x), torch.float32} if torch.is_autocast_enabled("cpu") else {_dtype(x)}
    return (
        (_dtype(x) == torch.float32 or narrows(_dtype(x), x.device))
        and (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last))
        and all(t.dtype in known and type(t) in (Tensor, nn.Parameter) for t in (x, *weights))
    )


def project(x: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """A map (b, d, H, W) and the weights of 1x1 convolutions, (c, d, 1, 1) each -> (b, c, H, W) each, channels last."""
    x, weights = x.to(_dtype(x)), [w.to(_dtype(x)) for w in weights]
    outputs = _Project.apply(x.flatten(2), *(w.flatten(1) for w in weights))
    return [y.mT.unflatten(2, x.shape[2:]) for y in outputs]


def project_normed(x: Tensor, weights: list[Tensor], norms: Sequence[nn.Module]) -> list[Tensor]:
    """`project`, then the batch norm of each in eval mode, or nn.Identity: one product, without a gradient.

    A norm is y = a x + b for each channel: a goes into the weights, b into the product. What comes back are views of
    one map (b, sum of c, H, W), channels last.
    """
    dtype, scaled, shifts = _dtype(x), [], []
    for w, norm in zip(weights, norms, strict=True):
        w, shift = w.flatten(1), w.new_zeros(len(w))
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            assert norm.running_mean is not None and norm.running_var is not None
            scale = (norm.running_var + norm.eps).rsqrt()
            scale = scale if norm.weight is None else scale * norm.weight
            w, shift = w * scale[:, None], -norm.running_mean * scale
            shift = shift if norm.bias is None else shift + norm.bias
        scaled.append(w)
        shifts.append(shift)
    found = product(_rows(x.flatten(2).to(dtype)), torch.cat(scaled).to(dtype).t(), torch.cat(shifts).to(dtype))
    maps = found.view(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)
    return list(maps.split([len(w) for w in weights], 1))


def channels_first(x: Tensor) -> Tensor:
    """A map (b, c, H, W) in the order of its axes in memory."""
    if looked_into() or x.device.type != "cpu":  # a transform cannot be asked further
        return x.contiguous()
    if not x.is_contiguous(memory_format=torch.channels_last):
        return x.contiguous()
    return x if x.is_contiguous() else _ChannelsFirst.apply(x.flatten(2)).view(x.shape)
