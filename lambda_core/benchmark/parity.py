"""What is timed, and the proof that it computes the same: no speed for a wrong answer."""

import torch
from torch import Tensor, nn

from lambda_core.benchmark.precision import PRECISIONS, TOLERANCES, autocast
from lambda_core.engines.proof import Wrong


def step(layer: nn.Module, x: Tensor, dy: Tensor, precision: str = "float32") -> list[Tensor]:
    """The output, and the gradients of the input and of all parameters."""
    with autocast(precision, x.device):
        y = layer(x)
    return [y, *torch.autograd.grad(y, [x, *layer.parameters()], dy.to(y.dtype), allow_unused=True)]


@torch.no_grad()
def inference(layer: nn.Module, x: Tensor, precision: str = "float32") -> Tensor:
    with autocast(precision, x.device):
        return layer(x)


def inputs(x: Tensor, precision: str) -> Tensor:
    """An input as it comes under autocast: the layer before has made it in that type."""
    return x.detach().to(PRECISIONS[precision]).requires_grad_()


def refuse(name: str, found: list[Tensor], expected: list[Tensor], precision: str) -> None:
    """Raises Wrong unless output and input gradient are the expected ones, within what the type allows."""
    for what, one, other, tolerance in zip(
        ("output", "gradient"), found, expected, TOLERANCES[precision], strict=False
    ):
        error = float(((one.float() - other.float()).abs().max() / other.float().abs().max()).detach())
        if not error < tolerance:
            raise Wrong(f"{name}: its {what} is off by {error:.1e} of the largest entry; no time is reported")


def check(
    name: str, layer: nn.Module, reference: list[Tensor], x: Tensor, dy: Tensor, precision: str = "float32"
) -> None:
    """Raises Wrong unless the layer does under that precision what the reference, in float32, has done."""
    refuse(name, step(layer, inputs(x, precision), dy, precision), reference, precision)
