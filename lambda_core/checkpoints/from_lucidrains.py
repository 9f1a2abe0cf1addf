"""lucidrains' lambda layer (`lambda_networks.LambdaLayer`) as ours, and back: the weights in another order.

Its channels of keys and values run over u first, ours over the depth first; E is a 3d convolution with a bias (local)
or a table (global). Its index of offsets is not a buffer, so the global layer stays on the CPU; ours moves.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lambda_core.checkpoints import skeleton
from lambda_core.checkpoints.dialect import State, axes, bias, check_storable, checked, copies, plain, rows
from lambda_core.checkpoints.fit import CheckpointRefused
from lambda_core.layers import LambdaLayer


def is_lucidrains(state: Mapping[str, Tensor]) -> bool:
    """Whether these keys are those of one lambda layer of lucidrains'."""
    return "to_q.weight" in state and ("pos_conv.weight" in state or "rel_pos_emb" in state)


def from_lucidrains(source: nn.Module | Mapping[str, Any]) -> LambdaLayer:
    """A layer of lucidrains' as ours, in eval mode, with the same outputs. source: the layer, or its state dict.

    Raises CheckpointRefused, with every key that does not fit.
    """
    state = plain(source.state_dict() if isinstance(source, nn.Module) else source)
    if not is_lucidrains(state):
        raise CheckpointRefused("these are not the weights of a lambda layer of lucidrains' lambda_networks")

    def make() -> LambdaLayer:
        if "rel_pos_emb" in state:
            *sides, k, u = state["rel_pos_emb"].shape
            options: dict[str, Any] = {"scope": None, "size": [(side + 1) // 2 for side in sides]}
        else:
            k, u, *_, scope = axes(state, "pos_conv.weight", "k, u, 1, r, r")
            options = {"scope": scope, "position_bias": True}
        heads, v = rows(state, "to_q.weight") // k, rows(state, "to_v.weight") // u
        return LambdaLayer(state["to_q.weight"].shape[1], heads * v, dim_k=k, heads=heads, dim_u=u, **options)

    layer = skeleton.on_meta(make)
    state = checked(state, to_lucidrains(layer), "a lambda layer of lucidrains'")
    kept = layer.state_dict().keys() & state.keys()
    ours = {name: _reordered(name, state[name], (layer.dim_u, -1)) for name in kept}
    if "rel_pos_emb" in state:
        ours["embeddings"] = state["rel_pos_emb"].permute(2, 3, 0, 1)
    else:
        ours |= {"embeddings": state["pos_conv.weight"][:, :, 0], "position_bias": state["pos_conv.bias"]}
    return skeleton.filled(layer, ours)


def to_lucidrains(layer: LambdaLayer) -> State:
    """The state dict that lucidrains' layer of the same shape loads with strict=True: `from_lucidrains` backwards.

    Raises ValueError for a lambda layer that lucidrains' cannot be, say with one half.
    """
    check_storable(layer, "lambda_networks", window=0, slices=True)
    ours = layer.state_dict()
    theirs = {name: _reordered(name, value, (-1, layer.dim_u)) for name, value in ours.items()}
    theirs.pop("position_bias", None)
    table = theirs.pop("embeddings")  # (k, u, R, C)
    if layer.scope is None:
        return copies(theirs | {"rel_pos_emb": table.permute(2, 3, 0, 1)})
    return copies(theirs | {"pos_conv.weight": table[:, :, None], "pos_conv.bias": bias(ours)})


def _reordered(name: str, value: Tensor, channels: tuple[int, int]) -> Tensor:
    """Channels of keys and values with their two axes, (u, depth) or (depth, u), exchanged; the rest as it is."""
    if not name.startswith(("to_k", "to_v", "norm_v")) or not value.dim():
        return value
    return value.unflatten(0, channels).transpose(0, 1).flatten(0, 1)
