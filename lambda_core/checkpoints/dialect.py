"""State dicts of other projects: a table of names, and a rule for what a lambda layer stores otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lambda_core.checkpoints.fit import CheckpointRefused, check_fit
from lambda_core.layers import LambdaLayer
from lambda_core.models import Config, ResNet

State = dict[str, Tensor]
# Where training scripts put the weights, those of the last step first, and what wrappers put before each name.
NESTED = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema", "ema_state_dict", "ema")
ASIDE = ("n_averaged", "ema_model.", "criterion.", "loss", "metric")  # what lies beside a wrapped network
COUNTER = "num_batches_tracked"  # of a batch norm; files older than it lack it, and evaluation never reads it


@dataclass(frozen=True)
class Dialect:
    """How a project names the modules of a ResNet with lambda layers, and stores the weights of such a layer.

    outside: its names for our stem and classifier. block: for the block of a stage, both from 0. parts: inside a
    block; convolution and attention: those that it has only around a 3x3 convolution or a lambda layer, which is
    called `layer`. store, read: the weights of one lambda layer, ours to theirs and back.
    """

    outside: Callable[[Config], dict[str, str]]
    block: Callable[[int, int], str]
    parts: Mapping[str, str]
    convolution: Mapping[str, str]
    attention: Mapping[str, str]
    layer: str
    store: Callable[[State, LambdaLayer], State]
    read: Callable[[State, LambdaLayer], State]

    def write(self, model: Any) -> State:
        """The weights of a network of ours under their names. Raises ValueError for one with parts that have none."""
        if not isinstance(model, ResNet):
            raise ValueError(f"only a ResNet of this library has its like there, not {type(model).__name__}")
        state, names, layers = model.state_dict(), self._names(model), self._lambda_layers(model)
        inside = tuple(f"{ours}." for ours, _, _ in layers)
        if lost := [key for key in state if key.rpartition(".")[0] not in names and not key.startswith(inside)]:
            raise ValueError(f"{len(lost)} weights of this network have no place there, {lost[0]} is the first")
        theirs = renamed(state, names)
        for ours, name, layer in layers:
            theirs |= below(self.store(under(state, ours), layer), name)
        return copies(theirs)

    def parse(self, theirs: State, model: ResNet) -> State:
        """`write` backwards, for weights that fit `model`."""
        state = renamed(theirs, {name: ours for ours, name in self._names(model).items()})
        for ours, name, layer in self._lambda_layers(model):
            state |= below(self.read(under(theirs, name), layer), ours)
        return state

    def _names(self, model: ResNet) -> dict[str, str]:
        """Their name for each module of ours that has weights, lambda layers aside."""
        names = self.outside(model.config)
        for s, stage in enumerate(model.stages):
            for b, block in enumerate(stage.children()):
                parts = {**self.parts, **(self.attention if isinstance(block.mix, LambdaLayer) else self.convolution)}
                names |= {f"stages.{s}.{b}.{ours}": f"{self.block(s, b)}.{theirs}" for ours, theirs in parts.items()}
        return names

    def _lambda_layers(self, model: ResNet) -> list[tuple[str, str, LambdaLayer]]:
        """Our name, theirs, and the layer."""
        return [
            (f"stages.{s}.{b}.mix", f"{self.block(s, b)}.{self.layer}", block.mix)
            for s, stage in enumerate(model.stages)
            for b, block in enumerate(stage.children())
            if isinstance(block.mix, LambdaLayer)
        ]


class Files(NamedTuple):
    """How the files of a project are read.

    recognise: whether these keys are its. translate: weights under our names, and the arguments of `build`.
    preprocess: of these arguments, how a picture is prepared.
    """

    recognise: Callable[[State], bool]
    translate: Callable[[State], tuple[State, dict[str, Any]]]
    preprocess: Callable[[Mapping[str, Any]], Mapping[str, Any]]


def plain(content: Any) -> State:
    """The tensors of a state dict, whichever of the usual ways it is wrapped in. Empty if there are none."""
    if not isinstance(content, Mapping):
        return {}
    for _ in NESTED:  # no deeper: a dictionary in a file may hold itself
        inside = [name for name in NESTED if isinstance(content.get(name), Mapping)]
        names = inside[:1] or networks(content)  # one alone may be under a name that nobody else uses
        if len(names) != 1:
            break
        content = content[names[0]]
    state = {str(key): value for key, value in content.items() if is_weight(value)}
    while wrapper := _wrapper(network := {key: value for key, value in state.items() if not key.startswith(ASIDE)}):
        state = {key.removeprefix(wrapper): value for key, value in network.items()}
    return state


def networks(content: Any) -> list[Any]:
    """Under which names a file without weights of its own holds some: "student", "teacher"."""
    if not isinstance(content, Mapping) or any(map(is_weight, content.values())):
        return []
    return [
        name for name, value in content.items() if isinstance(value, Mapping) and any(map(is_weight, value.values()))
    ]


def _wrapper(state: State) -> str:
    """What a module around the network puts before each name: "module." of DataParallel, "model.", "backbone."

    Empty where what follows are numbers, as in a file that has but the stages of a network, or one layer's weights.
    """
    parts = [key.split(".") for key in state]
    if len({first for first, *_ in parts}) != 1 or all(len(names) < 3 for names in parts):
        return ""
    return "" if any(names[1].isdigit() for names in parts if names[1:]) else f"{parts[0][0]}."


def is_weight(value: Any) -> bool:
    """Whether it is a tensor that has numbers."""
    return isinstance(value, Tensor) and not value.is_meta


def stem_channels(state: Mapping[str, Tensor], key: str) -> dict[str, int]:
    """The argument `in_chans` of `build` for a first convolution; none where it sees three channels."""
    channels = state[key].shape[1] if key in state and state[key].dim() == 4 else 3
    return {} if channels == 3 else {"in_chans": channels}


def rows(state: Mapping[str, Tensor], key: str) -> int:
    """Rows of a matrix, so classes of a classifier; 0 if there is none."""
    return state[key].shape[0] if key in state and state[key].dim() else 0


def axes(state: Mapping[str, Tensor], key: str, names: str) -> tuple[int, ...]:
    """The shape of a tensor with so many axes, "k, u, 1, r, r". Raises CheckpointRefused for one with others."""
    shape = tuple(state[key].shape)
    if len(shape) != len(names.split(", ")):
        raise CheckpointRefused(f"{key} is {shape} and should be ({names})")
    return shape


def under(state: Mapping[str, Tensor], name: str) -> State:
    """The weights of one submodule, under its own names."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def below(state: Mapping[str, Tensor], name: str) -> State:
    """The weights of a module, as its parent names them."""
    return {f"{name}.{key}": value for key, value in state.items()}


def renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> State:
    """The weights of those modules that `names` has, under the names that it gives them."""
    parts = [(*key.rpartition(".")[::2], value) for key, value in state.items()]
    return {f"{names[module]}.{leaf}": value for module, leaf, value in parts if module in names}


def copies(state: Mapping[str, Tensor]) -> State:
    """The weights in memory of their own: nothing that is done to them reaches the network that they came from."""
    return {name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def checked(state: State, expected: Mapping[str, Tensor], network: str) -> State:
    """The weights if they are those expected, with counters that old files lack; CheckpointRefused otherwise."""
    counters = {key: torch.tensor(0) for key in expected if key.endswith(COUNTER) and key not in state}
    check_fit(state | counters, expected, network)
    return state | counters


def check_storable(layer: LambdaLayer, project: str, window: int, slices: bool = False) -> None:
    """Raises ValueError for a layer that the layer of `project` cannot be, or for anything else.

    window: side of the one that it averages over for a stride, 0 if it has no stride. slices: whether it knows u > 1.
    """
    if type(layer) is not LambdaLayer:
        raise ValueError(f"only a LambdaLayer has its like in {project}, not {type(layer).__name__}")
    pooling = "stride 1" if not window else f"averages over {window} x {window} for a stride"
    demands = {
        pooling: layer.stride == 1 or getattr(layer.pool, "kernel_size", None) == window,
        "queries and context of equal width": layer.dim_context == layer.dim,
        "u = 1": slices or layer.dim_u == 1,
        "both halves": layer.content and layer.position,
        "softmax keys": layer.key_norm == "softmax",
        "norms on queries and values": isinstance(layer.norm_q, nn.BatchNorm2d),
        "a square map": window != 0 or layer.scope is not None or len(set(layer.size or ())) == 1,
        "no bias beside global embeddings": layer.scope is not None or layer.position_bias is None,
    }
    if unmet := [demand for demand, met in demands.items() if not met]:
        raise ValueError(
            f"the lambda layer of {project} has {' and '.join(unmet)}, and this one has not: "
            f"{type(layer).__name__}({layer.extra_repr()})"
        )


def computes_as(model: ResNet, reference: ResNet, *, act: bool) -> bool:
    """Whether two networks of equal weights agree in what no weight tells: strides, pooling and, if asked, `act`."""

    def unseen(config: Config) -> tuple[Any, ...]:
        steps = [stride for _, _, stride in config.stem]
        return (*steps, *config.strides, config.pool, config.act if act else None)

    return unseen(model.config) == unseen(reference.config)


def bias(ours: State) -> Tensor:
    """The position bias of a layer, zero in one that has none."""
    return ours.get("position_bias", ours["embeddings"].new_zeros(len(ours["embeddings"])))


def joined(ours: State) -> Tensor:
    """Queries, keys and values as one convolution."""
    return torch.cat([ours[f"to_{part}.weight"] for part in "qkv"])


def split(weight: Tensor, layer: LambdaLayer) -> State:
    """`joined` backwards, for a layer with u = 1."""
    depths = [layer.heads * layer.dim_k, layer.dim_k, layer.dim_v]
    return {f"to_{part}.weight": rows for part, rows in zip("qkv", weight.split(depths), strict=True)}
