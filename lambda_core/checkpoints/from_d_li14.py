"""The networks of d-li14's lambda.pytorch as ours, and back: the same weights under other names, the same outputs.

These are ResNets with a lambda layer in every block (r = 23, k = 16, h = 4, u = 1), among them a Lambda-ResNet-50 with
trained weights (78.2 % top-1 on ImageNet by its author's figures). Queries, keys and values share one convolution, E is
a 3d convolution with a bias, and a stride is a 3 x 3 average with a border of zeros. The files say nothing of how a
picture is prepared: ours is the usual way for a ResNet, the central 224 of 256 px.
"""

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from lambda_core.checkpoints import skeleton
from lambda_core.checkpoints.dialect import (
    Dialect,
    Files,
    State,
    bias,
    check_storable,
    checked,
    computes_as,
    joined,
    plain,
    renamed,
    rows,
    split,
    stem_channels,
)
from lambda_core.checkpoints.fit import CheckpointRefused, compare
from lambda_core.data import IMAGENET_MEAN, IMAGENET_STD
from lambda_core.layers import LambdaLayer
from lambda_core.models import FAMILY, ResNet

_PREPROCESS = {
    "size": 224, "crop": 0.875, "interpolation": "bilinear", "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD),
}  # fmt: skip
_NORMS = {"norm_q": "norm_q", "norm_v": "norm_v"}


def is_d_li14(state: Mapping[str, Tensor]) -> bool:
    """Whether these keys are those of a network of d-li14's."""
    return any(key.endswith("conv2.conv_qkv.weight") for key in state)


def translate(state: State) -> tuple[State, dict[str, Any]]:
    """d-li14's state dict -> (ours, the arguments of `build`).

    Raises CheckpointRefused, with every key that does not fit, for weights of another shape.
    """
    architecture = _architecture(state)
    model = cast(ResNet, skeleton.network(architecture))
    return D_LI14.parse(checked(state, D_LI14.write(model), "a lambda ResNet of d-li14's"), model), architecture


def from_d_li14(source: nn.Module | Mapping[str, Any]) -> ResNet:
    """A network of d-li14's as ours, in eval mode, with the same outputs. source: its state dict, or the module.

    Raises CheckpointRefused, with every key that does not fit.
    """
    state = plain(source.state_dict() if isinstance(source, nn.Module) else source)
    if not is_d_li14(state):
        raise CheckpointRefused("these are not the weights of a lambda ResNet of d-li14's lambda.pytorch")
    ours, architecture = translate(state)
    return cast(ResNet, skeleton.filled(skeleton.network(architecture), ours))


def to_d_li14(model: ResNet) -> State:
    """The state dict that d-li14's network of the same shape loads with strict=True: `from_d_li14` backwards.

    Raises ValueError for lambda layers that d-li14's cannot be, say with u > 1, and for other networks than ResNets
    with such a layer in every block.
    """
    found = D_LI14.write(model)
    reference = cast(ResNet, skeleton.network(_architecture(found))) if is_d_li14(found) else None
    if reference is None or compare(found, D_LI14.write(reference)):
        raise ValueError("lambda.pytorch has no network of this shape; its ResNets have a lambda layer in every block")
    if not computes_as(model, reference, act=True):
        raise ValueError(
            "lambda.pytorch's network of this shape has another activation, stride or pooling: its outputs differ"
        )
    return found


def _architecture(state: Mapping[str, Tensor]) -> dict[str, Any]:
    blocks = {tuple(key.split(".")[:2]) for key in state}
    depths = tuple(sum(stage == f"layer{number}" for stage, _ in blocks) for number in range(1, 5))
    name = f"lambda_resnet{3 * sum(depths) + 2}"
    return {
        "name": name if name in FAMILY else "lambda_resnet50",
        "overrides": {
            "depths": depths,
            "num_classes": rows(state, "fc.weight"),
            **stem_channels(state, "conv1.weight"),
            "layer": {"position_bias": True, "pool_size": 3},
        },
    }


def _store(ours: State, layer: LambdaLayer) -> State:
    check_storable(layer, "lambda.pytorch", window=3)
    if layer.scope is None:
        raise ValueError(f"the lambda layer of lambda.pytorch is local, and this one is global: {layer}")
    convolution = {"lambda_conv.weight": ours["embeddings"][:, :, None], "lambda_conv.bias": bias(ours)}
    return renamed(ours, _NORMS) | {"conv_qkv.weight": joined(ours)} | convolution


def _read(theirs: State, layer: LambdaLayer) -> State:
    position = {"embeddings": theirs["lambda_conv.weight"][:, :, 0], "position_bias": theirs["lambda_conv.bias"]}
    return renamed(theirs, _NORMS) | split(theirs["conv_qkv.weight"], layer) | position


D_LI14 = Dialect(
    outside=lambda config: {"stem.0": "conv1", "stem.1": "bn1", "classify": "fc"},
    block=lambda stage, block: f"layer{stage + 1}.{block}",
    parts={
        "reduce": "conv1", "norm1": "bn1", "norm2": "bn2", "expand": "conv3", "norm3": "bn3",
        "shortcut.0": "downsample.0", "shortcut.1": "downsample.1",
    },
    convolution={"mix": "conv2"},
    attention={},
    layer="conv2",
    store=_store,
    read=_read,
)  # fmt: skip
D_LI14_FILES = Files(is_d_li14, translate, lambda _: _PREPROCESS)
