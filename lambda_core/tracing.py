"""Named tensors: a `Tap` marks a tensor worth seeing, `trace` runs a module and returns every tensor so marked."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn


def hooked(module: nn.Module) -> bool:
    """Whether something of its own waits for its forward or backward pass: a hook, or a forward put in its place."""
    hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    return bool(hooks) or "forward" in vars(module)


class Tap(nn.Module):
    """An identity that gives a tensor a name, which hooks, `trace` and Captum can find. It holds no state."""

    @property
    def watched(self) -> bool:
        """Whether anyone listens to it: tensors that only a listener needs are computed only then.

        Hooks on all modules do not count: PyTorch's FLOP counter has some, and shall see what runs without it.
        """
        return hooked(self)

    def forward(self, x: Tensor) -> Tensor:
        return x


@torch.no_grad()
def trace(module: nn.Module, x: Any, *more: Any, **named: Any) -> dict[str, Tensor]:
    """Run `module(x)` once in its present mode and return every tapped tensor by its name, and the output.

    more, named: further arguments of the module, as in `trace(layer, x, context, mask=mask)`.

    For a `LambdaLayer`: input (b, dim, H, W), q (b, h, n, k), k and keys (b, m, k, u), v (b, m, v, u),
    content_lambda (b, k, v), position_lambda (b, n, k, v), content_output and position_output (b, h, n, v), both
    before pooling, and output (b, dim_out, H / stride, W / stride); a half that is switched off has no names. For a
    model they follow the path of the layer, as in `stages.2.0.mix.q`, which `model.get_submodule` knows too; `output`
    is what the model returns, where that is a tensor. A tap that is passed twice shows its last tensor.

    The tensors are copies without gradient. A compiled module runs uncompiled here. Hooks are removed afterwards, also
    after an error; in training mode batch norms see one more batch. Two threads that trace one module at once would see
    each other's tensors: hold a lock.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _args: Any, output: Tensor) -> None:
            found[name] = output.clone()  # a layer that works in place may follow

        return hook

    with ExitStack() as stack:
        if any(hasattr(part, "_orig_mod") or part._compiled_call_impl is not None for part in module.modules()):
            stack.enter_context(torch.compiler.set_stance("force_eager"))  # compiled code does not look for new hooks
        for name, part in module.named_modules():
            if isinstance(part, Tap):
                handle = part.register_forward_hook(keep(name.replace("_orig_mod.", "")))
                stack.callback(handle.remove)
        output = module(x, *more, **named)
    if isinstance(output, Tensor):
        found["output"] = output.clone()
    return found
