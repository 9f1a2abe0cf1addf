"""What the layers beside the lambda layer cost: their einsums and weighted sums, and what these keep.

Convolutions and linear layers inside them are counted on their own. A local window counts m = r² places for every
query, also those outside the map, for that is what is computed; local attention leaves out the rows and columns that no
position reaches, m = min(r, 2 max(H, W) - 1)². Where PyTorch fuses softmax and sums (global and axial
attention), the map is counted as stored, as the paper does; a fused kernel may not keep it.
"""

from math import prod

from torch import Size, nn

from lambda_core.cost.terms import Counts, Formula, Term
from lambda_core.layers.augmented_convolution import AugmentedConvolution
from lambda_core.layers.axial_attention import AxialAttention, AxisAttention
from lambda_core.layers.global_attention import GlobalAttention
from lambda_core.layers.linear_attention import DoubleAttention, EfficientAttention
from lambda_core.layers.local_attention import LocalAttention
from lambda_core.layers.local_relation import LocalRelation
from lambda_core.layers.neighbours import reached
from lambda_core.layers.patchwise_attention import PatchwiseAttention
from lambda_core.layers.squeeze_excite import SqueezeExcite


def parts_only(layer: nn.Module, x: Size, y: Size, b: int) -> Counts:
    """Nothing but what its convolutions and linear layers cost."""
    return Counts()


def over_all_pairs(heads: int, depth: int, values: int, x: Size, b: int) -> Counts:
    """Attention over the map, with one embedding a row offset and one a column offset."""
    sizes = {"b": b, "h": heads, "k": depth, "v": values, "n": x[2:].numel(), "s": x[2], "t": x[3]}
    return Counts(
        (
            Term("queries times keys", "2·h·n²·k", sizes),
            Term("queries times row embeddings", "2·h·n·s·k", sizes),
            Term("queries times column embeddings", "2·h·n·t·k", sizes),
            Term("attention times values", "2·h·n²·v", sizes),
        ),
        (Term("attention maps", "b·h·n²", sizes),),
    )


def global_attention(layer: GlobalAttention, x: Size, y: Size, b: int) -> Counts:
    depth = layer.rows.shape[0]
    return over_all_pairs(layer.heads, depth, depth, x, b)


def augmented_convolution(layer: AugmentedConvolution, x: Size, y: Size, b: int) -> Counts:
    depths = [depth // layer.heads for depth in layer.depths]
    return over_all_pairs(layer.heads, depths[0], depths[2], x, b)


def axis_attention(layer: AxisAttention, x: Size, y: Size, b: int) -> Counts:
    sizes = {"b": b, "h": layer.heads, "k": layer.table.shape[0], "n": x[2:].numel(), "s": x[layer.axis]}
    return Counts(
        (
            Term("queries times keys", "2·h·n·s·k", sizes),
            Term("queries times embeddings", "2·h·n·s·k", sizes),
            Term("attention times values", "2·h·n·s·k", sizes),
        ),
        (Term("attention maps", "b·h·n·s", sizes),),
    )


def local_attention(layer: LocalAttention, x: Size, y: Size, b: int) -> Counts:
    depth = layer.rows.shape[1] + layer.columns.shape[1]
    sizes = {"b": b, "h": layer.heads, "k": depth, "n": x[2:].numel(), "m": reached(layer.window, x) ** 2}
    return Counts(
        (
            Term("queries times keys", "2·h·n·m·k", sizes),
            Term("queries times embeddings", "2·h·n·m·k", sizes),
            Term("attention times values", "2·h·n·m·k", sizes),
        ),
        (Term("attention maps", "b·h·n·m", sizes), Term("keys and values of the windows", "2·b·h·n·m·k", sizes)),
    )


def windows(groups: int, channels: int, window: int, x: Size, b: int) -> Counts:
    """A weighted sum over windows, a weight for each group of channels."""
    sizes = {"b": b, "g": groups, "d": channels, "n": x[2:].numel(), "m": window**2}
    return Counts(
        (Term("weights times values", "2·n·m·d", sizes),),
        (Term("attention maps", "b·g·n·m", sizes), Term("values of the windows", "b·n·m·d", sizes)),
    )


def local_relation(layer: LocalRelation, x: Size, y: Size, b: int) -> Counts:
    """The weights are repeated for the channels of a group."""
    counts = windows(layer.to_q.out_channels, x[1], layer.window, x, b)
    values = counts.stored[1]
    return counts._replace(stored=(*counts.stored, values._replace(name="repeated weights")))


def patchwise_attention(layer: PatchwiseAttention, x: Size, y: Size, b: int) -> Counts:
    counts = windows(layer.groups, layer.to_v.out_channels, layer.window, x, b)
    keys = Term("keys of the windows", "b·n·m·k", {**counts.flops[0].values, "k": layer.to_k.out_channels})
    return counts._replace(stored=(*counts.stored, keys))


def double_attention(layer: DoubleAttention, x: Size, y: Size, b: int) -> Counts:
    sizes = {"b": b, "k": layer.to_gather.out_channels, "v": layer.to_features.out_channels, "n": x[2:].numel()}
    return Counts(
        (Term("gather", "2·n·k·v", sizes), Term("distribute", "2·n·k·v", sizes)),
        (Term("attention maps", "2·b·k·n", sizes), Term("descriptors", "b·k·v", sizes)),
    )


def efficient_attention(layer: EfficientAttention, x: Size, y: Size, b: int) -> Counts:
    depths = {"k": layer.to_k.out_channels // layer.heads, "v": layer.to_v.out_channels // layer.heads}
    sizes = {"b": b, "h": layer.heads, "n": prod(x[2:])} | depths
    return Counts(
        (Term("context", "2·h·n·k·v", sizes), Term("context times queries", "2·h·n·k·v", sizes)),
        (Term("context", "b·h·k·v", sizes),),
    )


FORMULAS: dict[type[nn.Module], Formula] = {
    SqueezeExcite: parts_only,
    DoubleAttention: double_attention,
    EfficientAttention: efficient_attention,
    AugmentedConvolution: augmented_convolution,
    LocalAttention: local_attention,
    LocalRelation: local_relation,
    PatchwiseAttention: patchwise_attention,
    GlobalAttention: global_attention,
    AxisAttention: axis_attention,
    AxialAttention: parts_only,
}

# Letters of the axes of their own parameters: d depth, o offsets along an axis, r places of a window along an axis.
PARAMETERS: dict[type[nn.Module], dict[str, str]] = {
    AugmentedConvolution: {"rows": "do", "columns": "do"},
    GlobalAttention: {"rows": "do", "columns": "do"},
    AxisAttention: {"table": "do"},
    LocalAttention: {"rows": "hdr", "columns": "hdr"},
}
