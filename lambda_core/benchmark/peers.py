"""The layers of timm and of lucidrains, with the weights of ours."""

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lambda_core.checkpoints import to_lucidrains, to_timm
from lambda_core.layers.lambda_layer import LambdaLayer


def _timm(layer: LambdaLayer) -> Any:
    from timm.layers.lambda_layer import LambdaLayer as Theirs

    sizes = {"r": layer.scope} if layer.scope else {"r": None, "feat_size": layer.size}
    theirs: Any = Theirs(layer.dim, layer.dim_out, num_heads=layer.heads, dim_head=layer.dim_k, **sizes)
    theirs.load_state_dict(to_timm(layer))
    return theirs


def _lucidrains(layer: LambdaLayer) -> nn.Module:
    import lambda_networks

    sizes = {"r": layer.scope} if layer.scope else {"n": (layer.size or (1,))[0]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its meshgrid call has no indexing argument
        theirs = lambda_networks.LambdaLayer(
            layer.dim, dim_k=layer.dim_k, heads=layer.heads, dim_out=layer.dim_out, **sizes
        )
    theirs.load_state_dict(to_lucidrains(layer))
    return theirs


PEERS: dict[str, tuple[str, Callable[[LambdaLayer], nn.Module]]] = {
    "timm": ("timm", _timm),
    "lucidrains": ("lambda_networks", _lucidrains),
}


def installed() -> list[str]:
    return [name for name, (package, _) in PEERS.items() if importlib.util.find_spec(package)]


def check_safe(name: str, precision: str, device: torch.device, scope: int | None, side: int) -> None:
    """RuntimeError where a step of that layer would end the process.

    On a CPU the gradient of a Conv3d kernel of bfloat16 that is larger than the map is NaN, or lands beyond its memory,
    for the layout that timm's has (seen in torch 2.14.1). Numbers of another type are right there.
    """
    if name == "timm" and device.type == "cpu" and precision == "bfloat16" and scope is not None and scope > side:
        raise RuntimeError("on a CPU, PyTorch's Conv3d in bfloat16 fails for kernels larger than the map")


@torch.no_grad()
def peer(name: str, layer: LambdaLayer) -> nn.Module:
    """The layer of that name with u = 1 and the weights of ours, on its device."""
    return PEERS[name][1](layer).to(layer.to_q.weight)
