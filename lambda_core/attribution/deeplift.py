"""DeepLIFT through a lambda layer: rules for its products and its softmax, beside Captum's for activations and pools.

A multiplier m says what a difference from the baseline is worth: Δlogit = Σ m Δx. Captum has rules for activations that
take one number to one number. A lambda layer also multiplies two tensors that both depend on the input. Both rules
below share a product's difference exactly: Δ(ab) = Δa (b + b₀)/2 + Δb (a + a₀)/2, and softmax is exp, sum, reciprocal
and product. As in Captum, the first half of a batch is the input and the second half the baseline.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from lambda_core.functional import wide
from lambda_core.layers import LambdaLayer
from lambda_core.positions import Size


def _with_gradient_of(value: Tensor, surrogate: Tensor) -> Tensor:
    return surrogate + (value - surrogate).detach()


def _midpoint(t: Tensor) -> Tensor:
    return t.detach().unflatten(0, (2, -1)).mean(0).repeat(2, *[1] * (t.dim() - 1))


def product(multiply: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """multiply(a, b), linear in each, with the multiplier of each taken at the other's midpoint."""
    return _with_gradient_of(multiply(a, b), multiply(a, _midpoint(b)) + multiply(_midpoint(a), b))


def rescaled(function: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x), number by number, with the multiplier Δy/Δx, or the slope at the midpoint where Δx is nothing."""
    y = function(x)
    with torch.no_grad():
        dx, dy = (t.unflatten(0, (2, -1)).diff(dim=0)[0].repeat(2, *[1] * (t.dim() - 1)) for t in (x, y))
        tiny = dx.abs() < 1e-4 * (1 + x.abs())
        ratio = torch.where(tiny, slope(_midpoint(x)), dy / torch.where(tiny, 1, dx))
    return _with_gradient_of(y, ratio * x)


def softmax(x: Tensor, dim: int) -> Tensor:
    """exp(x) / sum of exp(x) along `dim`."""
    shift = x.detach().unflatten(0, (2, -1)).amax((0, dim + 1), keepdim=True)[0].repeat(2, *[1] * (x.dim() - 1))
    powers = rescaled(torch.exp, torch.exp, x - shift)
    shares = rescaled(torch.reciprocal, lambda s: -(s**-2), powers.sum(dim, keepdim=True))
    return product(torch.mul, powers, shares)


def _keys(layer: LambdaLayer, k: Tensor) -> Tensor:
    return layer.keys(softmax(wide(k), 1) if layer.key_norm == "softmax" else wide(k))


def _content_output(layer: LambdaLayer, q: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    lambdas = layer.content_lambda(product(partial(torch.einsum, "bmku,bmvu->bkv"), keys, v))
    return layer.content_output(product(torch.matmul, q, lambdas[:, None]))


def _position_output(layer: LambdaLayer, q: Tensor, v: Tensor, size: Size) -> Tensor:
    return product(lambda q, v: LambdaLayer._position_output(layer, q, v, size), q, v)


def give_rules(model: nn.Module) -> None:
    """Make the lambda layers of a twin compute as before and differentiate by the rules above."""
    for layer in model.modules():
        if isinstance(layer, LambdaLayer):
            for rule in (_keys, _content_output, _position_output):
                setattr(layer, rule.__name__, partial(rule, layer))
            layer._output = layer._halves  # type: ignore[method-assign]  # each half by its own rule


def why_not(model: nn.Module) -> str | None:
    """Why DeepLIFT does not apply to a network, or None."""
    odd = {m.key_norm for m in model.modules() if isinstance(m, LambdaLayer)} - {"softmax", "none"}
    if not odd:
        return None
    return f"DeepLIFT has rules for lambda layers with key_norm softmax and none, but not {min(odd)}"
