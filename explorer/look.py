"""One picture through a network, for pages that show its answer at once: logits, and one map to lay on the picture."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from lambda_core import LambdaLayer
from lambda_core.evaluation import Answers, run

OVERLAYS = {  # what can lie on the picture: its name, its hue (explorer/theme.py)
    "none": ("Nothing", ""),
    "gradcam": ("Grad-CAM", "output"),
    "content": ("Content", "content"),
    "position": ("Position", "position"),
    "sum": ("Both", "lambda"),
}
PINNED = ("content", "position", "sum")  # those that belong to one pixel


@dataclass(frozen=True)
class Look:
    """The network's answer, the map that was asked for (H, W) or None, and the size of the layer's map."""

    answers: Answers
    heat: np.ndarray | None
    grid: tuple[int, int]


def look(
    model: nn.Module, x: Tensor, path: str, *, overlay: str = "none", row: int = 0, column: int = 0, head: int = 0
) -> Look:
    """Run `model` on x (1, 3, H, W) once, and make the map `overlay` (of OVERLAYS) at the module `path`.

    gradcam: relu(sum over c of mean(d logit / d A_c) A_c), A the output of `path`, for the class that the network finds
    most likely (Selvaraju et al. 2017, equations 1 and 2). content, position, sum, where `path` is a lambda layer: what
    the pixel (row, column) takes from each position, q_n · K̄_m, q_n · E_(m-n), and both, of one head. Rows, columns
    and heads beyond the layer's are moved to its last.
    """
    module = model.get_submodule(path)
    taps = {"output": module}
    if isinstance(module, LambdaLayer):
        taps = {name: getattr(module, name) for name in ["input", "output"] + ["q", "keys"] * (overlay in PINNED)}
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda _module, _args, output: found.__setitem__(name, output)

    with ExitStack() as stack:
        for name, tap in taps.items():
            handle = tap.register_forward_hook(keep(name))
            stack.callback(handle.remove)
        with torch.set_grad_enabled(overlay == "gradcam"):
            logits, features = run(model, x)
    height, width = found.get("input", found["output"]).shape[2:]
    heat = None
    if overlay == "gradcam":
        heat = _gradcam(logits[0], found["output"])
    elif overlay in PINNED:
        layer = cast(LambdaLayer, module)
        n = min(row, height - 1) * width + min(column, width - 1)
        heat = _implied(layer, found, (height, width), n, min(head, layer.heads - 1))[overlay]
    return Look(Answers(logits.detach().numpy(), features.detach().numpy()), heat, (height, width))


def _gradcam(logits: Tensor, maps: Tensor) -> np.ndarray:
    (gradient,) = torch.autograd.grad(logits.max(), maps)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * maps).sum(1)[0].relu().detach().numpy()


def _implied(
    layer: LambdaLayer, found: dict[str, Tensor], size: tuple[int, int], n: int, head: int
) -> dict[str, np.ndarray]:
    from explorer import plots  # matplotlib takes half a second to import: only who asks for weights waits for it

    tensors: dict[str, np.ndarray] = {name: found[name][0].numpy() for name in ("q", "keys") if name in found}
    tensors["q"] = tensors["q"][head : head + 1]
    if layer.embeddings is not None:
        tensors["embeddings"] = layer.embeddings.detach().numpy()
    maps = plots.implied_weights(tensors, {"height": size[0], "width": size[1], "heads": 1}, n)
    return {name: weights[0] for name, weights in maps.items()}
