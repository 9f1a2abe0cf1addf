"""What every layer asks of its arguments and of its input, so that a mistake ends in one sentence."""

from typing import Any

from torch import Tensor, nn
from torch.fx import Proxy

from lambda_core.positions import is_count

# What layers call their position embeddings: of lambda layers, and of self-attention by rows, columns and lines.
EMBEDDINGS = ("embeddings", "rows", "columns", "table")


def embeds(name: str) -> bool:
    """Whether a parameter of this name, as `named_parameters` gives it, holds position embeddings."""
    return name.rpartition(".")[2] in EMBEDDINGS


def check_counts(**counts: int) -> None:
    """ValueError unless each is an integer of at least 1."""
    for name, value in counts.items():
        if not is_count(value):
            wanted = "at least 1" if hasattr(value, "__index__") and not isinstance(value, bool) else "an integer"
            raise ValueError(f"{name} must be {wanted}, not {value!r}")


def check_flags(**flags: bool) -> None:
    """ValueError unless each is True or False: other values would be taken for True, "no" among them."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, not {value!r}")


def check_shares(**shares: float) -> None:
    """ValueError unless each is a number above 0 and at most 1."""
    for name, value in shares.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
            raise ValueError(f"{name} must be above 0 and at most 1, not {value!r}")


def check_size(size: Any) -> None:
    """ValueError unless it is the (H, W) of a map."""
    if not isinstance(size, (tuple, list)) or len(size) != 2 or not all(map(is_count, size)):
        raise ValueError(f"size must be (H, W), two positive integers, not {size!r}")


def check_map(layer: nn.Module, x: Tensor | Proxy, dim: int, dims: int = 2) -> None:
    """ValueError unless x is (b, dim, H, W), or (b, dim, n) where dims is 1, and has a position."""
    if isinstance(x, Proxy):  # torch.fx looks on, for which every comparison is a fork
        return
    if x.dim() != 2 + dims or x.shape[1] != dim or 0 in x.shape[2:]:
        axes = "H, W" if dims == 2 else "n"
        raise ValueError(f"{type(layer).__name__} takes (b, {dim}, {axes}), not {tuple(x.shape)}")
