"""Change a trained network for a moment: embeddings cropped to a smaller scope."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from lambda_core.layers import LambdaLayer


def rim_zeroed(table: Tensor, scope: int) -> Tensor:
    """E with every offset beyond scope // 2 at zero, along either axis; shape (..., rows, columns) stays.

    A layer with this table is a layer of scope r = `scope` that has the centre of E for its table. A scope as large as
    the table changes nothing. Raises ValueError for a scope that is even or below 1.
    """
    if scope < 1 or scope % 2 == 0:
        raise ValueError(f"a scope to crop to must be an odd positive integer, not {scope}")
    rows, columns = table.shape[-2:]
    top, left = max(0, (rows - scope) // 2), max(0, (columns - scope) // 2)
    cropped = table.new_zeros(table.shape)
    centre = (..., slice(top, rows - top), slice(left, columns - left))
    cropped[centre] = table[centre]
    return cropped


@contextmanager
def cropped_scope(model: nn.Module, scope: int) -> Iterator[list[str]]:
    """Within the block every lambda layer of `model`, or `model` itself, has its E cropped to `scope`.

    Gives the paths of the layers that lose entries by it. The trained parameters are put aside and come back at the
    end, also after an error; nothing is copied into them. Layers without a position part stay as they are. Two threads
    that crop one model at once would see each other's scope: hold a lock.
    """
    with ExitStack() as stack:
        paths = []
        for path, layer in model.named_modules():
            if not isinstance(layer, LambdaLayer) or layer.embeddings is None:
                continue
            table = layer.embeddings
            cropped = nn.Parameter(rim_zeroed(table.detach(), scope), requires_grad=table.requires_grad)
            if scope < max(table.shape[-2:]):
                paths.append(path)
            stack.callback(setattr, layer, "embeddings", table)
            layer.embeddings = cropped
        yield paths
