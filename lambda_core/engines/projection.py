"""Several 1x1 projections of one map in one pass: W_1 x, W_2 x, ..., and the gradient of x once for all of them.

On one CPU thread PyTorch runs a 1x1 convolution as a product of MKL's, see `matmul`, and each of three projections
would write a gradient of x of its own, to be added up. A few examples at a time, what is worked on stays in the cache.
The results have their channels last in memory, which is how the engines read them.
"""

from typing import Any

import torch
from torch import Tensor

from lambda_core.engines.matmul import product

COLUMNS = 200  # positions that are worked off together


def _together(x: Tensor) -> int:
    """Examples that are worked off together: small maps make a matrix that is worth a call."""
    return max(1, COLUMNS // x.shape[2])


def _columns(x: Tensor) -> Tensor:
    """(b, d, n) -> (d, b n)"""
    return x.transpose(0, 1).flatten(1)


class _Project(torch.autograd.Function):
    """x (b, d, n), weights (c, d) each -> (b, n, c) each"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, *weights)
        depths, every = [len(w) for w in weights], torch.cat(weights)
        outputs = tuple(x.new_empty(len(x), x.shape[2], depth) for depth in depths)
        for part, *places in zip(*(t.split(_together(x)) for t in (x, *outputs)), strict=True):
            found = product(_columns(part).t(), every.t()).split(depths, 1)
            for place, rows in zip(places, found, strict=True):
                place.copy_(rows.view(len(part), -1, rows.shape[1]))
        return outputs

    @staticmethod
    def backward(ctx: Any, *dys: Tensor) -> tuple[Tensor, ...]:
        x, *weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient shall have one of its own
            dx = sum(((dy @ w).mT for w, dy in zip(weights, dys, strict=True)), torch.zeros_like(x))
            return dx, *((x @ dy).sum(0).t() for dy in dys)
        dx, every = torch.empty_like(x), torch.cat(weights)
        dweights = torch.zeros_like(every)
        transposed = every.t().contiguous()
        for part, place, *dy in zip(*(t.split(_together(x)) for t in (x, dx, *dys)), strict=True):
            d = torch.cat(dy, 2).flatten(0, 1)  # (b n, every c)
            place.copy_(product(transposed, d.t()).unflatten(1, (len(part), -1)).transpose(0, 1))
            dweights += product(d.t(), _columns(part).t())
        return dx, *dweights.split([len(w) for w in weights])


class _ChannelsFirst(torch.autograd.Function):
    """(b, c, n), channels last in memory -> the same in order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.new_empty(x.shape)
        for source, target in zip(x, y, strict=True):
            target.copy_(source)  # two axes at a time, which PyTorch transposes block by block
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        return dy  # engines read it as it lies, which takes no memory


def fits(x: Tensor, weights: list[Tensor]) -> bool:
    """Whether `project` is the faster way: maps of plain float32 numbers on a CPU, not compiled, without autocast."""
    return (
        not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.dim() == 4
        and len(x) > 1
        and x.is_contiguous()
        and all(t.dtype == torch.float32 and type(t) in (Tensor, torch.nn.Parameter) for t in (x, *weights))
        and not torch.is_autocast_enabled("cpu")
    )


def project(x: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """A map (b, d, H, W) and the weights of 1x1 convolutions, (c, d, 1, 1) each -> (b, c, H, W) each, channels last."""
    outputs = _Project.apply(x.flatten(2), *(w.flatten(1) for w in weights))
    return [y.mT.unflatten(2, x.shape[2:]) for y in outputs]


def channels_first(x: Tensor) -> Tensor:
    """A map (b, c, H, W) in the order of its axes in memory."""
    if torch.compiler.is_compiling() or not x.is_contiguous(memory_format=torch.channels_last):
        return x.contiguous()
    return x if x.is_contiguous() else _ChannelsFirst.apply(x.flatten(2)).view(x.shape)
