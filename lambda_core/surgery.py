"""Change a trained network for a moment: embeddings cropped to a smaller scope."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from lambda_core.layers import LambdaLayer, LambdaLayer1d


def rim_zeroed(table: Tensor, scope: int, dims: int = 2, causal: bool = False) -> Tensor:
    """E with every offset beyond scope // 2 at zero, along any of its last `dims` axes; its shape stays.

    A layer with this table is a layer of scope r = `scope` that has the centre of E for its table; causal: the last
    entry is offset 0, so its last scope // 2 + 1 entries. A scope as large as the table changes nothing. Raises
    ValueError for a scope that is even or below 1.
    """
    if scope < 1 or scope % 2 == 0:
        raise ValueError(f"a scope to crop to must be an odd positive integer, not {scope}")
    half, cropped = scope // 2, table.new_zeros(table.shape)
    kept: tuple[Any, ...] = (..., *(slice(max(0, at - half), at + half + 1) for at in _reaches(table, dims, causal)))
    cropped[kept] = table[kept]
    return cropped


def _reaches(table: Tensor, dims: int, causal: bool) -> list[int]:
    """The largest offset along each of the last axes, which is also the entry of offset 0."""
    return [entries - 1 if causal else entries // 2 for entries in table.shape[-dims:]]


@contextmanager
def cropped_scope(model: nn.Module, scope: int) -> Iterator[list[str]]:
    """Within the block every lambda layer of `model`, or `model` itself, has its E cropped to `scope`.

    Gives the paths of the layers that lose entries by it. The trained parameters are put aside and come back at the
    end, also after an error; nothing is copied into them. Layers without a position part stay as they are. Two threads
    that crop one model at once would see each other's scope: hold a lock. Raises ValueError for a scope that is no odd
    positive integer.
    """
    with ExitStack() as stack:
        paths = []
        for path, layer in model.named_modules():
            if not isinstance(layer, LambdaLayer) or layer.embeddings is None:
                continue
            table = layer.embeddings
            kind = layer.dims, isinstance(layer, LambdaLayer1d) and layer.causal
            cropped = nn.Parameter(rim_zeroed(table.detach(), scope, *kind), requires_grad=table.requires_grad)
            if scope // 2 < max(_reaches(table, *kind)):
                paths.append(path)
            stack.callback(setattr, layer, "embeddings", table)
            layer.embeddings = cropped
        yield paths
