"""DeepLIFT through a lambda layer: rules for its products and its softmax, beside Captum's for activations.

A multiplier m says what a difference from the baseline is worth: Δlogit = Σ m Δx. Captum has rules for activations that
take one number to one number, SiLU not among them. A lambda layer also multiplies two tensors that both depend on the
input. The rule below shares a product's difference exactly: Δ(ab) = Δa (b + b₀)/2 + Δb (a + a₀)/2, and softmax is
exp(x - L), L the log of the sum of exp(x). As in Captum, the first half of a batch is the input and the second half the
baseline.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lambda_core.functional import wide
from lambda_core.layers import LAYERS, ConvolutionThen, LambdaLayer, LambdaLayer1d
from lambda_core.layers.squeeze_excite import SqueezeExcite
from lambda_core.positions import Size

# Of the modules that need a rule those that have one, Captum's or ours, and those that have none. The norms are those
# that divide by what the input decides.
RULED = (nn.ReLU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, LambdaLayer, SqueezeExcite)
_UNITS = [kind.Unit if issubclass(kind, ConvolutionThen) else kind for kind in LAYERS.values()]
_UNRULED = (
    *(kind for kind in _UNITS if not issubclass(kind, (nn.Conv2d, *RULED))), LambdaLayer1d,
    nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.InstanceNorm2d, nn.MaxPool1d, nn.MaxPool3d, nn.AdaptiveMaxPool2d,
)  # fmt: skip


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


def _log_mean(x: Tensor) -> Tensor:
    """log of (exp(a) - exp(b)) / (a - b) for a and b, the halves of x: no exponent is above zero."""
    a, b = x.unflatten(0, (2, -1))
    gap = (a - b).abs()
    below = torch.where(gap < 1e-3, -gap / 2, (-torch.expm1(-gap) / gap.clamp_min(1e-3)).log())
    return (torch.maximum(a, b) + below).repeat(2, *[1] * (x.dim() - 1))


def softmax(x: Tensor, dim: int) -> Tensor:
    """exp(x - L) along `dim`, L = log of the sum of exp(x), however far apart the halves are.

    ΔL = Σ c Δx exactly, with c = (Δexp(x) / Δx) / (Δexp(L) / ΔL).
    """
    total = x.logsumexp(dim, keepdim=True)
    with torch.no_grad():
        shares = (_log_mean(x) - _log_mean(total)).exp()
    total = _with_gradient_of(total, (shares * x).sum(dim, keepdim=True))
    return rescaled(torch.exp, torch.exp, x - total)


def _silu_slope(x: Tensor) -> Tensor:
    gate = x.sigmoid()
    return gate * (1 + x * (1 - gate))


def _squeeze_excite(layer: SqueezeExcite, x: Tensor) -> Tensor:
    gate = layer.excite(layer.act(layer.squeeze(x.mean((2, 3), keepdim=True))))
    return product(torch.mul, x, rescaled(torch.sigmoid, lambda x: x.sigmoid() * (1 - x.sigmoid()), gate))


class MaxPool(nn.Module):
    """A max-pool that gives Δy to one place of its window: that of the larger of the two maxima, y or y₀.

    There |Δx| ≥ |Δy|, so the multiplier Δy/Δx is between 0 and 1, and the sum is exact. (Captum's rule shares Δy among
    the places of both maxima, and is not exact where windows overlap or the maximum moves.) No subclass of
    `nn.MaxPool2d`, to which Captum would apply its own.
    """

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = partial(
            F.max_pool2d, kernel_size=pool.kernel_size, stride=pool.stride, padding=pool.padding,
            dilation=pool.dilation, ceil_mode=pool.ceil_mode, return_indices=True,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y, places = self.pool(x)
        flat = x.flatten(2)
        with torch.no_grad():
            (high, low), (here, there) = (t.flatten(2).unflatten(0, (2, -1)) for t in (y, places))
            place = torch.where(high >= low, here, there)
            dx = flat.unflatten(0, (2, -1)).diff(dim=0)[0].neg().gather(2, place)
            ratio = torch.where(dx == 0, 1, (high - low) / dx).repeat(2, 1, 1)
        return _with_gradient_of(y, (ratio * flat.gather(2, place.repeat(2, 1, 1))).view_as(y))


def _keys(layer: LambdaLayer, k: Tensor) -> Tensor:
    return layer.keys(softmax(wide(k), 1) if layer.key_norm == "softmax" else wide(k))


def _content_output(layer: LambdaLayer, q: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    lambdas = layer.content_lambda(product(partial(torch.einsum, "bmku,bmvu->bkv"), keys, v))
    return layer.content_output(product(torch.matmul, q, lambdas[:, None]))


def _position_output(layer: LambdaLayer, q: Tensor, v: Tensor, size: Size) -> Tensor:
    return product(lambda q, v: LambdaLayer._position_output(layer, q, v, size), q, v)


def give_rules(model: nn.Module) -> None:
    """Make the modules of a twin that Captum has no rule for compute as before and differentiate by the rules above."""
    for layer in list(model.modules()):
        for name, part in layer.named_children():
            if isinstance(part, nn.MaxPool2d):
                setattr(layer, name, MaxPool(part))
        if isinstance(layer, LambdaLayer):
            for rule in (_keys, _content_output, _position_output):
                setattr(layer, rule.__name__, partial(rule, layer))
            layer._output = layer._halves  # type: ignore[method-assign]  # each half by its own rule
        elif isinstance(layer, SqueezeExcite):
            layer.forward = partial(_squeeze_excite, layer)  # type: ignore[method-assign]
        elif isinstance(layer, nn.SiLU):
            layer.forward = partial(rescaled, F.silu, _silu_slope)  # type: ignore[method-assign]


def why_not(model: nn.Module) -> str | None:
    """Why DeepLIFT does not apply to a network, or None. What a module of another's computes is not looked into."""
    if odd := {m.key_norm for m in model.modules() if isinstance(m, LambdaLayer)} - {"softmax", "none"}:
        return f"DeepLIFT has rules for lambda layers with key_norm softmax and none, but not {min(odd)}"
    if odd := {type(m).__name__ for m in model.modules() if _without_rule(m)}:
        return f"DeepLIFT has no rule for {min(odd)}, without which its map does not sum to the logit's rise"
    return None


def _without_rule(module: nn.Module) -> bool:
    activation = type(module).__module__ == nn.ReLU.__module__
    return isinstance(module, _UNRULED) or (activation and not isinstance(module, RULED))
