"""timm's lambda networks and its lambda layer as ours, and back: the same weights under other names, the same outputs.

timm keeps queries, keys and values in one convolution, has u = 1, and stores E as a 3d convolution with a bias (local)
or as a table (global, for images of one size). Its layer works with dim_out = dim only. timm itself is needed by
`fetch` alone: the translation reads names and shapes.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from lambda_core.checkpoints import skeleton
from lambda_core.checkpoints.dialect import (
    Dialect,
    Files,
    State,
    axes,
    bias,
    check_storable,
    checked,
    computes_as,
    copies,
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
from lambda_core.models import Config, ResNet

NETWORKS = {"lambda_resnet26t": 0.94, "lambda_resnet26rpt_256": 0.94, "lambda_resnet50ts": 0.95}  # share of a picture
SIDE = 256  # of the pictures that all of them take; those without global embeddings take smaller ones
STRIDE = 16  # of the largest map with global embeddings
SECONDS = 4  # for the hub to answer a first question
_NORMS = {"norm_q": "norm_q", "norm_v": "norm_v"}


def is_timm(state: Mapping[str, Tensor]) -> bool:
    """Whether these keys are those of a network of timm's that has lambda layers."""
    return any(key.endswith("self_attn.norm_v.weight") for key in state)


def is_timm_layer(state: Mapping[str, Tensor]) -> bool:
    """Whether these keys are those of one lambda layer of timm's."""
    return "qkv.weight" in state and ("conv_lambda.weight" in state or "pos_emb" in state)


def translate(state: State, name: str | None = None) -> tuple[State, dict[str, Any]]:
    """timm's state dict -> (ours, the arguments of `build`).

    name: one of NETWORKS; without it, the one whose keys fit best. Raises CheckpointRefused, with every key that does
    not fit, for weights of another shape.
    """
    overrides: dict[str, Any] = {"num_classes": rows(state, "head.fc.weight")} | stem_channels(
        state, "stem.conv1.conv.weight"
    )
    if (size := _image_size(state)) != (SIDE, SIDE):
        overrides["image_size"] = size
    models = _networks(overrides, [name] if name else NETWORKS)
    expected = {n: TIMM.write(model) for n, model in models.items()}
    name = min(models, key=lambda n: len(compare(state, expected[n])))
    state = checked(state, expected[name], f"timm's {name}")
    return TIMM.parse(state, models[name]), {"name": name, "overrides": overrides}


def _image_size(state: State) -> tuple[int, int]:
    """Of the network's images: global embeddings cover the map at stride 16, and nothing else depends on it."""
    tables = [table.shape for key, table in state.items() if key.endswith("pos_emb") and table.dim() == 3]
    rows, columns = (max((shape[axis] for shape in tables), default=2 * SIDE // STRIDE - 1) for axis in (0, 1))
    return (rows + 1) // 2 * STRIDE, (columns + 1) // 2 * STRIDE


def _networks(overrides: dict[str, Any], names: Iterable[str] = NETWORKS) -> dict[str, ResNet]:
    return {name: cast(ResNet, skeleton.network({"name": name, "overrides": overrides})) for name in names}


def from_timm(source: nn.Module | Mapping[str, Any] | str) -> ResNet | LambdaLayer:
    """A network or a lambda layer of timm's as ours, in eval mode, with the same outputs.

    source: a module of timm's, its state dict, or a name as "timm/lambda_resnet26t.c1_in1k", whose trained weights timm
    fetches. Activation and stride are not part of a state dict: a network is taken to be one of NETWORKS, a layer to
    have stride 1. (Where a side is odd, a stride of 2 rounds up here, and down in timm's layer.) Raises
    CheckpointRefused, with every key that does not fit, and for a module that gives other outputs than those networks
    with its weights, as one made with another activation, norm, stem, pooling, head or output stride.
    """
    if isinstance(source, str):
        weights, architecture, _ = from_hub(source.removeprefix("timm/"))
        return cast(ResNet, skeleton.filled(skeleton.network(architecture), weights))
    module = source if isinstance(source, nn.Module) else None
    state = plain(source.state_dict() if isinstance(source, nn.Module) else source)
    if is_timm_layer(state):
        return _layer(state, stride=getattr(getattr(module, "pool", None), "stride", 1))
    if not is_timm(state):
        raise CheckpointRefused(f"these are not the weights of a lambda network of timm's: {', '.join(NETWORKS)}")
    name = (getattr(module, "pretrained_cfg", None) or {}).get("architecture")
    ours, architecture = translate(state, name if name in NETWORKS else None)
    if module is not None:
        silu = any(isinstance(part, nn.SiLU) for part in module.modules())
        architecture["overrides"]["act"] = "silu" if silu else "relu"
        _check_outputs(module, architecture)
    return cast(ResNet, skeleton.filled(skeleton.network(architecture), ours))


@torch.no_grad()
def _check_outputs(module: nn.Module, architecture: Mapping[str, Any]) -> None:
    """CheckpointRefused where our network gives other outputs than the module, for the same weights and picture.

    A norm whose scale is zero, as at the end of a block before training, would hide the block: in both it becomes 0.2.
    """
    theirs = deepcopy(module).float().cpu().eval()
    for name, value in theirs.state_dict().items():
        if name.endswith(".weight") and value.dim() == 1 and not value.any():
            value.fill_(0.2)
    ours = skeleton.network(architecture)
    ours = skeleton.filled(ours, TIMM.parse(plain(theirs.state_dict()), cast(ResNet, ours)))
    channels = architecture["overrides"].get("in_chans", 3)
    size = (SIDE // 4, SIDE // 4)
    if architecture["name"].endswith("_256"):
        size = architecture["overrides"].get("image_size", (SIDE, SIDE))
    x = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))
    expected, found = theirs(x), ours(x)
    if found.shape != expected.shape or not float((found - expected).abs().max()) <= 1e-3 * float(expected.abs().max()):
        raise CheckpointRefused(
            f"the module gives other outputs than timm's {architecture['name']} with its weights: it was made with "
            "another activation, norm, stem, pooling, head or output stride, none of which can be taken over"
        )


def to_timm(model: ResNet | LambdaLayer) -> State:
    """The state dict that timm's module of the same shape loads with strict=True: `from_timm` backwards.

    No weight tells an activation: timm.create_model(..., act_layer="silu") is the like of a network with act="silu".
    Raises ValueError for lambda layers that timm's cannot be, say with u > 1, and for other networks than NETWORKS.
    """
    if isinstance(model, LambdaLayer):
        return copies(_store(model.state_dict(), model))
    found = TIMM.write(model)
    same: dict[str, Any] = {"num_classes": model.config.num_classes, "in_chans": model.config.in_chans}
    if model.config.image_size is not None:
        same["image_size"] = model.config.image_size
    alike = [network for network in _networks(same).values() if not compare(found, TIMM.write(network))]
    if not alike:
        raise ValueError(f"timm has no network of this shape; its lambda networks are {', '.join(NETWORKS)}")
    if not any(computes_as(model, network, act=False) for network in alike):
        raise ValueError("timm's network of this shape has another stride or pooling: its outputs differ")
    return found


def fetch(name: str) -> nn.Module:
    """timm's network with its trained weights: from its cache, else from the hub that timm downloads from."""
    import timm

    configuration = timm.get_pretrained_cfg(name)
    _check_hub(str((configuration and configuration.hf_hub_id) or f"timm/{name}"))
    return timm.create_model(name, pretrained=True)


def _check_hub(repository: str) -> None:
    """An error within seconds where weights that are not in the cache cannot be fetched: a download tries for long."""
    import huggingface_hub as hub

    files = ("model.safetensors", "pytorch_model.bin")
    if any(isinstance(hub.try_to_load_from_cache(repository, file), str) for file in files):
        return
    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, files[0]), timeout=SECONDS)
    except hub.errors.HfHubHTTPError:
        return  # an answer, if not to this question: timm knows other places to ask for


def from_hub(name: str) -> tuple[State, dict[str, Any], dict[str, Any]]:
    """(weights, architecture, preprocess) of a network by timm's name, as lambda_resnet26t.c1_in1k.

    Raises CheckpointRefused, in one sentence, for another name, without timm, and where the weights cannot be fetched.
    """
    network = name.partition(".")[0]
    if network not in NETWORKS:
        raise CheckpointRefused(f"timm has no lambda network {network!r}; there are {', '.join(NETWORKS)}")
    try:
        module = fetch(name)
    except ImportError as error:
        raise CheckpointRefused(
            f"timm/{name} is known, but the package timm, which fetches its weights, is not installed: pip install timm"
        ) from error
    except RuntimeError as error:  # of a tag that timm does not know
        raise CheckpointRefused(f"timm does not give timm/{name}: {str(error).splitlines()[0]}") from error
    except Exception as error:  # each way of downloading has errors of its own
        raise CheckpointRefused(
            f"timm/{name} is known, but its weights could not be fetched ({type(error).__name__}): "
            "connect to the internet once, and timm keeps them, or give a file with its state dict"
        ) from error
    found = cast(Mapping[str, Any], module.pretrained_cfg)
    preprocess = {
        "size": found["input_size"][-1], "crop": found["crop_pct"], "interpolation": found["interpolation"],
        "mean": list(found["mean"]), "std": list(found["std"]),
    }  # fmt: skip
    return *translate(plain(module.state_dict()), network), preprocess


def _preprocess(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """How timm prepares a picture for the weights that it has."""
    return {
        "size": max(architecture["overrides"].get("image_size", (SIDE,))),
        "crop": NETWORKS[architecture["name"]], "interpolation": "bicubic",
        "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD),
    }  # fmt: skip


def _outside(config: Config) -> dict[str, str]:
    names = {"classify": "head.fc"}
    for number in range(len(config.stem)):  # ours has convolution, norm, activation in a row
        names[f"stem.{3 * number}"] = f"stem.conv{number + 1}.conv"
        names[f"stem.{3 * number + 1}"] = f"stem.conv{number + 1}.bn"
    return names


def _store(ours: State, layer: LambdaLayer) -> State:
    check_storable(layer, "timm", window=2)
    theirs = renamed(ours, _NORMS) | {"qkv.weight": joined(ours)}
    table = ours["embeddings"]  # (k, 1, R, C)
    if layer.scope is None:
        return theirs | {"pos_emb": table[:, 0].permute(1, 2, 0)}
    return theirs | {"conv_lambda.weight": table[..., None], "conv_lambda.bias": bias(ours)}


def _read(theirs: State, layer: LambdaLayer) -> State:
    ours = renamed(theirs, _NORMS) | split(theirs["qkv.weight"], layer)
    if "pos_emb" in theirs:
        return ours | {"embeddings": theirs["pos_emb"].permute(2, 0, 1)[:, None]}
    return ours | {"embeddings": theirs["conv_lambda.weight"][..., 0], "position_bias": theirs["conv_lambda.bias"]}


TIMM = Dialect(
    outside=_outside,
    block=lambda stage, block: f"stages.{stage}.{block}",
    parts={
        "reduce": "conv1_1x1.conv", "norm1": "conv1_1x1.bn", "expand": "conv3_1x1.conv", "norm3": "conv3_1x1.bn",
        "shortcut.0": "shortcut.conv", "shortcut.1": "shortcut.bn",
    },
    convolution={"mix": "conv2_kxk.conv", "norm2": "conv2_kxk.bn"},
    attention={"norm2": "post_attn"},
    layer="self_attn",
    store=_store,
    read=_read,
)  # fmt: skip

TIMM_FILES = Files(is_timm, translate, _preprocess)


def _layer(state: State, stride: int) -> LambdaLayer:
    """A lambda layer alone; everything but its stride can be read off the shapes."""

    def make() -> LambdaLayer:
        options: dict[str, Any] = {"stride": stride}
        if "pos_emb" in state:
            *sides, k = state["pos_emb"].shape
            options |= {"scope": None, "size": [(side + 1) // 2 for side in sides]}
        else:
            k, _, scope = axes(state, "conv_lambda.weight", "k, 1, r, r, 1")[:3]
            options |= {"scope": scope, "position_bias": True}
        v = rows(state, "norm_v.weight") or rows(state, "norm_v.bias")
        heads = (rows(state, "qkv.weight") - k - v) // k
        return LambdaLayer(state["qkv.weight"].shape[1], heads * v, dim_k=k, heads=heads, **options)

    layer = skeleton.on_meta(make)
    state = checked(state, _store(layer.state_dict(), layer), "a lambda layer of timm's")
    return skeleton.filled(layer, _read(state, layer))
