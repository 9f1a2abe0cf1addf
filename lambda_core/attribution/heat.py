"""`attribute`: any method, on any network, as one heat map."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lambda_core.attribution.methods import METHODS, REDUCTIONS, Task, captum, enlarged
from lambda_core.attribution.twin import Guard, Pace, by_path, class_check, plain, twin
from lambda_core.layers import LambdaLayer


def attribute(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    method: str = "integrated_gradients",
    layer: str | None = None,
    raw: bool = False,
    lock: Guard | None = None,
    progress: Callable[[float], Any] | None = None,
    **options: Any,
) -> Tensor:
    """The heat map (b, H, W) of one method for the logit of a class: what of x (b, 3, H, W) led to it.

    target: a class, or one for each input, (b,). method: a name of METHODS, which holds equation, source and options.
    layer: for methods that look at one, the path of a module whose output is (b, C, H', W'), as in "stages.2.0.mix";
    None is the last lambda layer. Its map is enlarged to H x W. raw: the tensor before that, (b, 3, H, W),
    (b, C, H', W'), or (b, 1, H', W') of "grad_cam", which sums over channels itself.

    lock: held while a slice of the work runs, for threads that share a processor or trace the same model. progress:
    called between slices with the share done; what it raises ends the work. The model is run as in eval mode.

    Raises ImportError without Captum, ValueError for a name, a layer, a class or a shape that does not fit, and for a
    method that does not apply to the network; TypeError for an option that the method does not have.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    chosen = METHODS[method]
    if unknown := sorted(set(options) - set(chosen.options)):
        known = ", ".join(chosen.options) or "none"
        raise TypeError(f"{method} has no option {unknown[0]!r}; its options: {known}")
    if x.dim() != 4:
        raise ValueError(f"attribute takes pictures (b, 3, H, W), not {tuple(x.shape)}")
    given = torch.as_tensor(target)
    if given.is_floating_point() or (given.numel() != 1 and given.shape != x.shape[:1]):
        raise ValueError(f"target must be a class, or one for each of the {len(x)} inputs, not {target}")
    if reason := chosen.why_not(model):
        raise ValueError(reason)
    captum()
    with Pace(lock, progress) as pace:
        own = twin(model)
        own.register_forward_pre_hook(pace.before)
        own.register_forward_hook(class_check(target))
        inner = by_path(own)[layer_path(own, layer)] if chosen.layered else None
        task = Task(own, x.detach().clone().requires_grad_(), target, inner, pace, {**chosen.options, **options})
        found = chosen.run(task).detach()
    if raw:
        return found
    if found.dim() != 4:
        raise ValueError(f"the layer's output must be (b, C, H, W) to make a map, not {tuple(found.shape)}")
    return enlarged(REDUCTIONS[chosen.reduce](found), tuple(x.shape[2:]))


def layer_path(model: nn.Module, layer: str | None) -> str:
    """The path of a module, None standing for the last lambda layer; ValueError with the choices for another."""
    modules = by_path(model)
    lambdas = [name for name, module in modules.items() if isinstance(module, LambdaLayer)]
    choices = f"its lambda layers are {', '.join(lambdas)}" if lambdas else "it has no lambda layer"
    if layer is None and not lambdas:
        raise ValueError(f"say which layer to look at: in this network {choices}")
    if layer is not None and plain(layer) not in modules:
        raise ValueError(f"the network has no module {layer!r}; {choices}")
    return lambdas[-1] if layer is None else plain(layer)
