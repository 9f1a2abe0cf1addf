"""How much of a logit came through the content lambda and how much through the position lambda of a layer."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lambda_core.attribution.methods import BATCH
from lambda_core.attribution.twin import Guard, Pace, by_path, class_check, plain, twin
from lambda_core.functional import wide
from lambda_core.layers import LambdaLayer

TAPS = ("content_output", "position_output")


@dataclass(frozen=True)
class Halves:
    """Shares of one logit in one lambda layer, whose output is y = yc + yp.

    content, position: (H, W), what each place of each half added; their sums are the two shares. logit, silent: with
    the layer as it is, and with both halves at zero. without_content, without_position: with one of them at zero.
    """

    content: Tensor
    position: Tensor
    logit: float
    silent: float
    without_content: float
    without_position: float

    @property
    def error(self) -> float:
        """What the two shares miss of logit - silent: the error of the integral over the path."""
        return (self.content.sum() + self.position.sum()).item() - (self.logit - self.silent)


def halves(
    model: nn.Module,
    x: Tensor,
    target: int,
    layer: str,
    *,
    steps: int = 32,
    lock: Guard | None = None,
    progress: Callable[[float], Any] | None = None,
) -> Halves:
    """Integrated gradients over a layer's two outputs, from zero to their values along a straight line.

    share of half z = sum over h, n, v of z_hnv ∫₀¹ ∂F/∂y_hnv (t yc + t yp) dt, with the shortcut around the layer left
    as it is (Sundararajan et al. 2017; Gauss-Legendre with `steps` points); the two sum to logit - silent. One picture,
    x (1, 3, H, W); the maps have the size of the layer's input. Points of the path are a batch from the layer on, so
    what follows must broadcast over it, as the sum with a shortcut does. lock, progress: see `attribute`. Raises
    ValueError for a path that is no lambda layer, for a class that is none, and for more than one picture.
    """
    if not isinstance(by_path(model).get(plain(layer)), LambdaLayer):
        raise ValueError(f"halves needs the path of a lambda layer, and {layer!r} is none")
    if x.dim() != 4 or len(x) != 1:
        raise ValueError(f"halves takes one picture (1, 3, H, W), not {tuple(x.shape)}")
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    times, shares = (torch.as_tensor(t / 2, dtype=x.dtype, device=x.device) for t in (nodes + 1, weights))
    with Pace(lock, progress, 2 + math.ceil(steps / BATCH)) as pace:
        own = twin(model)
        own.register_forward_pre_hook(pace.before)
        own.register_forward_hook(class_check(target))
        mix = by_path(own)[plain(layer)]
        assert isinstance(mix, LambdaLayer)
        content, position, size = _outputs(own, mix, x)
        on = x.new_tensor([[1, 1], [0, 1], [1, 0], [0, 0]])  # both, position alone, content alone, nothing
        with torch.no_grad(), _scaled(mix, content, position, on, size):
            logits = own(x)[:, target].tolist()
        gradient = torch.zeros_like(content)  # of the layer's output, averaged over the path
        for here, share in zip(times.split(BATCH), shares.split(BATCH), strict=True):
            with torch.enable_grad(), _scaled(mix, content, position, here[:, None].expand(-1, 2), size) as extra:
                slope = torch.autograd.grad(own(x)[:, target].sum(), extra)[0]
            gradient += torch.einsum("t,thnv->hnv", share.to(slope), slope)
    over_content, over_position = ((half * gradient).sum((0, 2)).view(size) for half in (content, position))
    return Halves(over_content, over_position, logits[0], logits[3], logits[1], logits[2])


@torch.no_grad()
def _outputs(model: nn.Module, mix: LambdaLayer, x: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """The outputs of both halves, (h, n, v), zeros for one that is not there, and the size of the map."""
    seen: dict[str, Tensor] = {}
    handles = [
        getattr(mix, name).register_forward_hook(lambda _m, _a, out, name=name: seen.update({name: out.detach()}))
        for name in ("input", *TAPS)
    ]
    model(x)
    for handle in handles:
        handle.remove()
    height, width = seen.pop("input").shape[2:]
    nothing = next((torch.zeros_like(half) for half in seen.values()), None)
    if nothing is None:  # both are switched off
        nothing = wide(x).new_zeros(1, mix.heads, height * width, mix.dim_v)
    content, position = (seen.get(name, nothing)[0] for name in TAPS)
    return content, position, (height, width)


@contextmanager
def _scaled(
    mix: LambdaLayer, content: Tensor, position: Tensor, scales: Tensor, size: tuple[int, int]
) -> Iterator[Tensor]:
    """Within it the layer gives, for each row (a, b) of scales (t, 2), the output a yc + b yp: (t, dim_out, H, W).

    Yields zeros (t, h, n, v) that are added to it: the gradient with respect to them is that of y.
    """
    extra = content.new_zeros(len(scales), *content.shape).requires_grad_()

    def output(_: nn.Module, __: Any, whole: Tensor) -> Tensor:
        y = torch.einsum("tz,zhnv->thnv", scales.to(content), torch.stack([content, position])) + extra
        y = y.transpose(2, 3).reshape(len(y), mix.dim_out, *size)  # channel = h v, as in the layer
        return mix.pool(y.to(whole.dtype))

    handle = mix.register_forward_hook(output)
    try:
        yield extra
    finally:
        handle.remove()
