"""Switch halves of a network's lambda layers off for a moment: what is left of its answer without them?"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from lambda_core.layers import LambdaLayer

HALVES = ("content", "position")


def halves(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """The halves that each lambda layer of a network was built with: {"stages.2.0.mix": ("content", "position")}."""
    return {
        path: tuple(half for half, part in zip(HALVES, (layer.to_k, layer.embeddings), strict=True) if part is not None)
        for path, layer in model.named_modules()
        if isinstance(layer, LambdaLayer)
    }


def everywhere(model: nn.Module, half: str) -> dict[str, tuple[str, ...]]:
    """`off` for `switched`: this half in every lambda layer that has it."""
    return {path: (half,) for path, there in halves(model).items() if half in there}


@contextmanager
def switched(model: nn.Module, off: Mapping[str, Collection[str]]) -> Iterator[None]:
    """Within the block the named halves of the named lambda layers give zeros; weights are left alone.

    off: {"stages.2.0.mix": ["content"]}. With both halves off a layer's output is zero. The attributes `content` and
    `position` come back at the end, also after an error. Two threads that switch one model would see each other's
    switches: hold a lock. Raises ValueError for a path that is no lambda layer, and for a half that it has not.
    """
    there = halves(model)
    for path, names in off.items():
        if path not in there:
            raise ValueError(f"{path!r} is no lambda layer of this network: {', '.join(there) or 'it has none'}")
        if wrong := [name for name in names if name not in there[path]]:
            raise ValueError(f"{path} has no half {wrong[0]!r} to switch off, only {' and '.join(there[path])}")
    before = []
    try:
        for path, names in off.items():
            layer = model.get_submodule(path)
            for name in names:
                before.append((layer, name, getattr(layer, name)))
                setattr(layer, name, False)
        yield
    finally:
        for layer, name, value in reversed(before):
            setattr(layer, name, value)
