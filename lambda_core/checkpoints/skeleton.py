"""Networks without memory, to compare shapes before anything is spent, and the same with their weights."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lambda_core.checkpoints.fit import CheckpointRefused
from lambda_core.meta import shapes_only
from lambda_core.models import ResNet, San, build

MAX_BLOCKS = 1000  # a file may ask for any depth; no network of the family comes near this
Module = TypeVar("Module", bound=nn.Module)


def network(architecture: Mapping[str, Any]) -> ResNet | San:
    """The network that {"name": ..., "overrides": {...}} asks for, the arguments of `build`, on the meta device.

    Raises CheckpointRefused for one that cannot be built.
    """

    def make() -> ResNet | San:
        overrides = {name: as_tuples(value) for name, value in architecture.get("overrides", {}).items()}
        if sum(overrides.get("depths", ())) > MAX_BLOCKS:
            raise ValueError(f"it asks for more than {MAX_BLOCKS} blocks")
        return build(architecture["name"], **overrides)

    return on_meta(make)


def on_meta(make: Callable[[], Module]) -> Module:
    """What `make` builds, on the meta device, which has shapes and no memory."""
    try:
        with shapes_only():
            return make()
    except CheckpointRefused:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, RuntimeError) as error:
        reason = str(error).partition("; there are")[0]  # the choices are many
        raise CheckpointRefused(f"the checkpoint's architecture cannot be built: {reason}") from error


def filled(module: Module, weights: Mapping[str, Tensor], device: torch.device | str | None = None) -> Module:
    """The module off the meta device, with these weights, in eval mode."""
    module = module.to_empty(device=device or "cpu")
    module.load_state_dict(weights)
    return module.eval()


def as_tuples(value: Any) -> Any:
    """Tuples where JSON has lists."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value
