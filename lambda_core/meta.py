"""Modules with shapes and without numbers, on PyTorch's meta device: to count and to compare before memory is spent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class _Undrawn(TorchFunctionMode):
    """Draws no normal numbers: the meta device has none, and PyTorch loads its compiler to say so, for seconds."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in (Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Within it, modules are made on the meta device, and their initial numbers are not drawn."""
    with torch.device("meta"), _Undrawn():
        yield
