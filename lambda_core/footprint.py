"""Which positions a pixel's output depends on, measured: the size of its derivatives, by autograd.

Letters as everywhere: h heads, n query position, m context position, v depth of values.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from lambda_core import positions
from lambda_core.functional import wide
from lambda_core.layers import LambdaLayer

PARTS = ("position", "content", "both")
ROUNDING = 1e-6  # of the largest derivative: smaller ones are taken for zero


def implied_weights(layer: LambdaLayer, x: Tensor, n: int) -> Tensor:
    """∂y_n^h / ∂V_m of the position part, summed over u: (h, H, W), zero outside the scope.

    x (1, dim, H, W). The same number for every v, since a lambda layer is linear in V; q_n · E_(m-n) by another way.
    Zeros for a layer without a position part.
    """
    if not layer.position:
        return x.new_zeros(layer.heads, *x.shape[2:])
    with torch.enable_grad():
        seen = _entering(layer, x.detach().clone().requires_grad_(), layer)
        outputs = _position(layer, seen, n)  # (h, v)
        rows: list[Tensor] = []
        while len(rows) < layer.heads:  # as many heads at once as there are values, each by a value of its own
            units = outputs[len(rows) :].diagonal()
            (slope,) = torch.autograd.grad(units.sum(), seen["v"], retain_graph=True)
            rows += [slope[0, :, v].sum(-1) for v in range(len(units))]
    return torch.stack(rows).unflatten(-1, x.shape[2:])


def directions(depth: int, limit: int, seed: int = 0) -> Tensor:
    """Orthogonal rows (count, depth) whose squared products with any vector sum to its squared length, on average.

    The unit vectors where depth <= limit, so that the sum is exact; else `limit` random ones, longer by
    sqrt(depth / limit).
    """
    if depth <= limit:
        return torch.eye(depth)
    noise = torch.randn(depth, limit, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(noise).Q.T * (depth / limit) ** 0.5


def principal(slopes: Tensor, limit: int) -> Tensor:
    """The `limit` directions (count, d) of d outputs along which slopes (d, size) are longest: the unit vectors turned.

    Orthogonal, and longer by as much as their slopes' squared lengths fall short of all slopes'. Where d <= limit they
    are the unit vectors themselves, and sums of squares exact; else six come about as near as eight random ones.
    """
    if len(slopes) <= limit:
        return torch.eye(len(slopes)).to(slopes)
    energies, ways = torch.linalg.eigh(slopes @ slopes.T)  # ascending
    kept = energies[-limit:].sum().clamp_min(torch.finfo(energies.dtype).tiny)
    return ways[:, -limit:].T * (energies.sum() / kept).sqrt()


def footprint(output: Tensor, source: Tensor, limit: int = 32) -> Tensor:
    """|∂y / ∂x_m|: for every position m of a map the length of all derivatives of `output`, root of their squares' sum.

    output (v,), a vector that was computed from source (1, c, H, W) with gradients on -> (H, W). One backward pass for
    each of v directions, at most `limit` (see `directions`); the graph stays.
    """
    return _length(slopes(output, source, directions(len(output), limit).to(output)))


def slopes(output: Tensor, source: Tensor, ways: Tensor) -> Tensor:
    """The derivatives of `output` in some directions: (count, c, H, W), zero where it does not depend on source.

    ways (count, ...), each in the shape of `output`; source (1, c, H, W). The graph stays.
    """
    found = [torch.autograd.grad(output, source, way, retain_graph=True, allow_unused=True)[0] for way in ways]
    return torch.stack([source.new_zeros(source.shape[1:]) if slope is None else slope[0] for slope in found])


def _length(slopes: Tensor) -> Tensor:
    return slopes.square().sum((0, 1)).sqrt()


def footprints(
    model: nn.Module, x: Tensor, path: str, n: int, head: int, part: str = "both", limits: tuple[int, int] = (32, 6)
) -> dict[str, Tensor]:
    """Footprints of the pixel n of one lambda layer in a network: {"layer": (H, W), "image": (H', W')}.

    model: in eval mode. x (1, 3, H', W'). path: of the layer. The unit is y_n^h before pooling, all v of head `head`;
    `part` takes its position part, its content part, or both. layer: with respect to the layer's input; image: to x.
    limits: directions for either (see `directions` and `principal`). The model runs as far as the layer's queries, keys
    and values.

    Through the position part y_n depends on V within the scope, and on q_n, which is the pixel itself: its footprint
    in the layer ends with the window. The content part sees the whole map. Raises ValueError for another part, and for
    a path that is no lambda layer.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, not {part!r}")
    layer: nn.Module | None = None
    with suppress(AttributeError):
        layer = model.get_submodule(path)
    if not isinstance(layer, LambdaLayer):
        there = ", ".join(name for name, module in model.named_modules() if isinstance(module, LambdaLayer))
        raise ValueError(f"{path!r} is no lambda layer of this network: {there or 'it has none'}")
    image = x.detach().clone().requires_grad_()
    seen = _entering(model, image, layer)
    unit = _unit(layer, seen, n, head, part)
    if unit is None:
        return {"layer": image.new_zeros(seen["input"].shape[2:]), "image": image.new_zeros(image.shape[2:])}
    inside = slopes(unit, seen["input"], directions(len(unit), limits[0]).to(unit))
    fewer = principal(inside.flatten(1), limits[1])
    through = torch.einsum("dv,vchw->dchw", fewer, inside)[:, None]  # what comes through the layer is there already
    return {"layer": _rounded(_length(inside)), "image": _length(slopes(seen["input"], image, through))}


class _Reached(Exception):
    """A forward pass has come as far as it need."""


def _entering(model: nn.Module, x: Tensor, layer: LambdaLayer) -> dict[str, Tensor]:
    """The layer's input, queries, values and, with a content part, keys, with their graph back to x."""
    names = ["input", "q", "v"] + ["keys"] * layer.content

    def stop(_module: nn.Module, _args: Any, _output: Tensor) -> None:
        if all(name in seen for name in names):
            raise _Reached

    with _watched(layer, *names) as seen, ExitStack() as stack, torch.enable_grad():
        for name in names:
            stack.callback(layer.get_submodule(name).register_forward_hook(stop).remove)
        with suppress(_Reached):
            model(x)
    return seen


def _unit(layer: LambdaLayer, seen: dict[str, Tensor], n: int, head: int, part: str) -> Tensor | None:
    """y_n^h (v,) as the definition has it, from the layer's own q, keys and values: None without the part asked for.

    An engine gives the same number for all pixels at once, and its backward pass would be the dearest step here.
    """
    found = []
    if layer.content and part != "position":
        q, keys, v = (
            wide(seen["q"][0, head, n]),
            wide(seen["keys"][0]),
            wide(seen["v"][0]),
        )  # (k,), (m, k, u), (m, v, u)
        found.append(torch.einsum("k,mku,mvu->v", q, keys, v))
    if layer.position and part != "content":
        found.append(_position(layer, seen, n)[head])
    return sum(found[1:], found[0]) if found else None


def _position(layer: LambdaLayer, seen: dict[str, Tensor], n: int) -> Tensor:
    """The position part of y_n for every head, (h, v), as the definition has it."""
    q, v = wide(seen["q"][0, :, n]), wide(seen["v"][0])  # (h, k), (m, v, u)
    size = (seen["input"].shape[2], seen["input"].shape[3])
    found = torch.einsum("hk,kum,mvu->hv", q, positions.around(wide(layer._table()), size, n), v)
    return found if layer.position_bias is None else found + q @ wide(layer.position_bias)[:, None]


def receptive_field(model: nn.Module, x: Tensor, paths: list[str], limit: int = 4) -> dict[str, Tensor]:
    """The effective receptive field of the centre of each module's output map, on the image: {path: (H', W')}.

    |∂ unit / ∂ x| as in `footprint` (Luo et al. 2016 take the gradient of one unit); the unit is all channels of the
    middle position, in `limit` random directions. paths: modules whose output is (1, c, H, W), in any order.
    """
    seen: dict[str, Tensor] = {}
    handles = [model.get_submodule(path).register_forward_hook(_keep(seen, path)) for path in paths]
    image = x.detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return {path: footprint(_middle(seen[path]), image, limit) for path in paths}


def _rounded(sizes: Tensor) -> Tensor:
    return sizes.masked_fill(sizes < ROUNDING * sizes.max(), 0.0)


def _middle(output: Tensor) -> Tensor:
    return output[0, :, output.shape[2] // 2, output.shape[3] // 2]


def _keep(seen: dict[str, Tensor], name: str) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    def hook(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        seen[name] = output
        return output.clone()  # what follows may work in place

    return hook


@contextmanager
def _watched(layer: LambdaLayer, *names: str) -> Iterator[dict[str, Tensor]]:
    """The tensors of some of a layer's taps with their graph, for one forward pass."""
    seen: dict[str, Tensor] = {}
    handles = [layer.get_submodule(name).register_forward_hook(_keep(seen, name)) for name in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
