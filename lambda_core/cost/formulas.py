"""What each module costs: FORMULAS has one function a type, PARAMETERS the letters of its parameters.

FLOPs are those of the paper: 2 a multiply-add, over convolutions, linear layers, projections and einsums, for one
image. Norms, activations, pooling and softmax are not counted. A local position lambda counts m = min(r, H) min(r, W)
context positions for every query, also at the border: neither all r² entries nor only the pairs that exist.
"""

from math import prod

from torch import Size, nn

from lambda_core import engines
from lambda_core.cost import attention
from lambda_core.cost.engines import KEEPS
from lambda_core.cost.terms import Counts, Formula, Term, Terms, of_shape
from lambda_core.functional import CHUNK
from lambda_core.layers import LambdaLayer, LambdaLayer1d

# Letters of a parameter's axes. A type that is not listed has DEFAULT's: output channels, input channels, kernel.
PARAMETERS: dict[type[nn.Module], dict[str, str]] = attention.PARAMETERS | {
    LambdaLayer: {"embeddings": "kurs", "position_bias": "k"}
}
DEFAULT = "dcrst"


def free(layer: nn.Module, x: Size, y: Size, b: int) -> Counts:
    """Norms: parameters, but no FLOPs that count."""
    return Counts()


def convolution(layer: nn.Conv2d, x: Size, y: Size, b: int) -> Counts:
    """Every output position reads the kernel; in a transposed convolution every input position writes it."""
    n = (x if layer.transposed else y)[2:].numel()
    return Counts((of_shape("convolution", DEFAULT[: layer.weight.dim()], layer.weight.shape, "2·n", n=n),))


def linear(layer: nn.Linear, x: Size, y: Size, b: int) -> Counts:
    n = y.numel() // layer.out_features
    return Counts((of_shape("linear", "dc", layer.weight.shape, "2" if n == 1 else "2·n", n=n),))


def lambda_layer(layer: LambdaLayer, x: Size, y: Size, b: int) -> Counts:
    """λc and λp are added before they meet the queries, so the queries are counted once.

    The three projections are terms of their own. `stored` is what the engine in use keeps, "auto" as on a CPU.
    """
    n = x[2:].numel()
    sizes = {"n": n, "h": layer.heads, "k": layer.dim_k, "v": layer.dim_v, "u": layer.dim_u}
    flops, stored = [], []
    causal = isinstance(layer, LambdaLayer1d) and layer.causal
    if layer.content and causal:
        flops += causal_content(layer, sizes)
        stored.append(Term("content lambdas", "b·n·k·v", sizes | {"b": b}))
    elif layer.content:
        flops.append(Term("content lambda", "2·n·k·v·u", sizes))
        stored.append(Term("content lambda", "b·k·v", sizes | {"b": b}))
    if layer.position and layer.embeddings is not None:
        table = layer.embeddings.shape
        m = prod(min(entries, side) for entries, side in zip(table[2:], x[2:], strict=True))
        flops.append(Term("position lambda", "2·n·m·k·v·u", sizes | {"m": m}))
        stored += lambda_engine(layer, x, b)
    if not causal or layer.position:
        flops.append(Term("lambda times queries", "2·n·h·k·v", sizes))
    return Counts(tuple(flops), tuple(stored))


def causal_content(layer: LambdaLayer, sizes: dict[str, int]) -> list[Term]:
    """A λc for each query, in chunks of c: pairs p within a chunk; without softmax, one product a position."""
    queries = Term("content lambdas times queries", "2·n·h·k·v", sizes)
    if not layer.key_norm.startswith("softmax"):
        return [Term("content lambdas", "2·n·k·v·u", sizes), queries]
    whole, rest = divmod(sizes["n"], CHUNK)
    return [Term("content lambdas", "2·p·k·v·u", sizes | {"p": whole * CHUNK**2 + rest**2}), queries]


def lambda_engine(layer: LambdaLayer, x: Size, b: int) -> Terms:
    """What the position part of a lambda layer keeps for the backward pass."""
    n, size = x[2:].numel(), ((1, *x[2:])[-2], x[-1])
    name = layer.engine
    if name == "auto":
        name = engines.select(*layer.shapes(b, size), size)
    sizes = {"b": b, "h": layer.heads, "n": n, "k": layer.dim_k, "v": layer.dim_v, "u": layer.dim_u}
    return tuple(Term(f"{part}, {name} engine", formula, sizes) for part, formula in KEEPS[name].items())


FORMULAS: dict[type[nn.Module], Formula] = attention.FORMULAS | {
    nn.Conv1d: convolution,
    nn.Conv2d: convolution,
    nn.ConvTranspose2d: convolution,
    nn.Linear: linear,
    nn.BatchNorm1d: free,
    nn.BatchNorm2d: free,
    nn.GroupNorm: free,
    nn.LayerNorm: free,
    LambdaLayer: lambda_layer,
}
