"""The window of positions around each position, for the local layers."""

import torch
from torch import Tensor
from torch.nn import functional as F

from lambda_core.positions import is_count


def check_window(window: int) -> None:
    """ValueError unless a window has a middle."""
    if not is_count(window) or window % 2 == 0:
        raise ValueError(f"window must be an odd positive integer, not {window!r}")


def neighbours(x: Tensor, window: int, mode: str = "constant") -> Tensor:
    """(b, c, H, W) -> (b, c, window², n): what lies around each position, row by row; `mode` says what lies outside."""
    reach = window // 2
    if mode == "replicate" and torch.compiler.is_compiling():  # Inductor does not take its gradient (PyTorch 2.14)
        for axis, side in ((2, x.shape[2]), (3, x.shape[3])):
            x = x.index_select(axis, torch.arange(-reach, side + reach, device=x.device).clamp(0, side - 1))
    else:
        x = F.pad(x, (reach,) * 4, mode=mode)
    return F.unfold(x, window).unflatten(1, (x.shape[1], -1))


def reached(window: int, shape: torch.Size) -> int:
    """The side of the middle of a window beyond which no place lies on a map (b, c, H, W) for any position."""
    return min(window, 2 * max(shape[2:]) - 1)


def inside(x: Tensor, window: int) -> Tensor:
    """(window², n), True where a neighbour lies on the map."""
    return neighbours(x.new_ones((1, 1, *x.shape[2:])), window)[0, 0] > 0


def offsets(window: int, device: torch.device | str | None = None) -> Tensor:
    """(2, window²): rows and columns from the middle of a window to each place in it, row by row."""
    steps = torch.arange(window, device=device) - window // 2
    return torch.stack(torch.meshgrid(steps, steps, indexing="ij")).flatten(1)
