"""Named tensors: a `Tap` marks a tensor worth seeing, `trace` runs a module and returns every tensor so marked."""

from contextlib import ExitStack

import torch
from torch import Tensor, nn


class Tap(nn.Module):
    """An identity. It costs nothing, holds no state, and gives a tensor a name that hooks and Captum can find."""

    @property
    def watched(self) -> bool:
        """Whether anyone listens: tensors that only a listener needs are computed only then."""
        return bool(self._forward_hooks)

    def forward(self, x: Tensor) -> Tensor:
        return x


@torch.no_grad()
def trace(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Run `module(x)` once in its present mode and return every tapped tensor by its qualified name.

    For a `LambdaLayer`: input (b, dim, H, W), q (b, h, n, k), k and keys (b, m, k, u), v (b, m, v, u),
    content_lambda (b, k, v), position_lambda (b, n, k, v), content_output and position_output (b, h, n, v),
    output (b, dim_out, H / stride, W / stride). For a model the same names follow the path of the layer,
    as in `stages.2.0.mix.q`. Tensors are detached; the module is left as it was, also after an error.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(_module: nn.Module, _args: tuple, output: Tensor) -> None:
            found[name] = output.detach()

        return hook

    with ExitStack() as stack:
        for name, part in module.named_modules():
            if isinstance(part, Tap):
                handle = part.register_forward_hook(keep(name.removesuffix("_tap").replace("_tap.", ".")))
                stack.callback(handle.remove)
        found["output"] = module(x).detach()
    return found
