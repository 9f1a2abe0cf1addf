"""The lambda layer on feature maps.

Letters, here and everywhere: b batch, h heads, k depth of queries and keys, v depth of values, u intra-depth,
n query positions, m context positions (here the same H x W grid, unless there is content alone).
"""

import re
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from lambda_core import engines, positions
from lambda_core.engines import convolution, projection
from lambda_core.engines.auto import Shape
from lambda_core.functional import check_key_norm, hide_keys, normalize_keys, wide, without_autocast
from lambda_core.layers.face import check_counts, check_flags, check_map, check_size
from lambda_core.layers.pooling import AveragePool2d
from lambda_core.tracing import Tap, hooked

Part = TypeVar("Part")


class LambdaLayer(nn.Module):
    """y_n = (λc + λp_n)ᵀ q_n on a feature map: (b, dim, H, W) -> (b, dim_out, H / stride, W / stride), rounded up.

    λc = sum over m, u of K̄_mku V_mvu is shared by all queries; λp_n = sum over m, u of E_(m-n)ku V_mvu moves with n.
    Queries have h heads; keys and values are shared by the heads, v = dim_out / h (Bello 2021, section 3).

    `layer(x, context)` takes keys and values from another tensor, (b, dim_context, H, W), dim_context = dim where not
    given. It lies on the grid of x, where E tells how far the two positions are apart; without the position part it may
    have any size. `layer(x, mask=mask)`, with a bool (b, H, W) of the context, leaves out the positions where it is
    False, as the padding of a batch: they are in neither λ, and the keys are normalised over the others. (In training
    the statistics of batch norm count them all the same.)

    dim_k, heads, dim_u: k, h, u. scope: r, an odd integer, for a context of r x r around the query; None is global and
    needs size=(H, W), the largest map to come. key_norm: softmax | softmax_keys_queries | l2 | none, over positions.
    content, position: with False that half is not built; on a layer that has both, the attributes of these names
    switch one off and on. norm_qv: batch norm on queries and values. position_bias: a number b_k added to every
    λp_n[k, v], as implementations with a convolution for E have it. stride: average pooling of the output, after the
    layer has run at full resolution. pool_size: the side of its window, by default the stride; an odd one that is set
    lies around its centre and counts zeros around the map, and without a stride nothing is averaged. engine: the order
    of the position sum, see `lambda_core.engines`; all give the same result. Sums over positions run in float32 at
    least, also under autocast.

    E of an offset that no map had in training stays as it was initialised. Before inputs larger than those, either
    train on at their size, or crop the scope to what was trained, 2 * side - 1 (`surgery.cropped_scope`).

    Every step is a tap (`lambda_core.trace` lists their names), so `layer.content_output` can be hooked.

    Raises ValueError for arguments that do not fit together, for an input that is not (b, dim, H, W), for one larger
    than `size` under a global scope, and for a context or a mask that does not fit.
    """

    dims: ClassVar[int] = 2  # axes of a map
    Projection: ClassVar[type[nn.Conv1d] | type[nn.Conv2d]] = nn.Conv2d
    Norm: ClassVar[type[nn.BatchNorm1d] | type[nn.BatchNorm2d]] = nn.BatchNorm2d
    Pool: ClassVar[type[nn.AvgPool1d] | type[nn.AvgPool2d]] = AveragePool2d

    def __init__(
        self,
        dim: int,
        dim_out: int | None = None,
        *,
        dim_context: int | None = None,
        dim_k: int = 16,
        heads: int = 4,
        dim_u: int = 1,
        scope: int | None = 23,
        size: tuple[int, ...] | None = None,
        key_norm: str = "softmax",
        content: bool = True,
        position: bool = True,
        norm_qv: bool = True,
        position_bias: bool = False,
        stride: int = 1,
        pool_size: int | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__()
        dim_out = dim if dim_out is None else dim_out
        dim_context = dim if dim_context is None else dim_context
        check_counts(
            dim=dim, dim_out=dim_out, dim_context=dim_context, dim_k=dim_k, heads=heads, dim_u=dim_u, stride=stride
        )
        if dim_out % heads:
            raise ValueError(f"dim_out={dim_out} cannot be split over heads={heads}: it must be a multiple of heads")
        check_key_norm(key_norm)
        check_flags(content=content, position=position, norm_qv=norm_qv, position_bias=position_bias)
        if not (content or position):
            raise ValueError("a lambda layer needs content=True or position=True; with neither its output is zero")
        if position_bias and not position:
            raise ValueError("position_bias=True has no meaning with position=False")
        if pool_size is not None and not (positions.is_count(pool_size) and pool_size % 2):
            raise ValueError(f"pool_size must be an odd positive integer, or None for the stride, not {pool_size!r}")
        _check_engine(engine)
        size = tuple(size) if isinstance(size, Iterable) else size
        entries = positions.table_size(scope, size, self.dims) if position else ()
        self.dim, self.dim_out, self.dim_context = dim, dim_out, dim_context
        self.dim_k, self.heads, self.dim_u = dim_k, heads, dim_u
        self.dim_v = dim_out // heads
        self.scope, self.size, self.key_norm, self.stride, self.engine = scope, size, key_norm, stride, engine

        self.to_q = self.Projection(dim, heads * dim_k, 1, bias=False)
        self.to_k = self.Projection(dim_context, dim_k * dim_u, 1, bias=False) if content else None
        self.to_v = self.Projection(dim_context, self.dim_v * dim_u, 1, bias=False)
        self.norm_q = self.Norm(heads * dim_k) if norm_qv else nn.Identity()
        self.norm_v = self.Norm(self.dim_v * dim_u) if norm_qv else nn.Identity()
        self.embeddings = nn.Parameter(torch.empty(dim_k, dim_u, *entries)) if position else None
        self.position_bias = nn.Parameter(torch.zeros(dim_k)) if position_bias else None
        self.content, self.position = content, position
        self.pool: nn.Module = nn.Identity()
        if stride > 1:
            self.pool = self.Pool(pool_size or stride, stride, (pool_size or 0) // 2, ceil_mode=pool_size is None)

        self.input, self.q, self.k, self.keys, self.v = Tap(), Tap(), Tap(), Tap(), Tap()
        self.content_lambda, self.position_lambda = Tap(), Tap()
        self.content_output, self.position_output, self.output = Tap(), Tap(), Tap()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Projections from normal(inputs^-1/2), embeddings from normal(0.02), the position bias zero."""
        for layer in (self.to_q, self.to_k, self.to_v):
            if layer is not None:
                nn.init.normal_(layer.weight, std=layer.in_channels**-0.5)
        if self.embeddings is not None:
            nn.init.normal_(self.embeddings, std=0.02)
        if self.position_bias is not None:
            nn.init.zeros_(self.position_bias)

    def extra_repr(self) -> str:
        scope = f"size={self.size}" if self.scope is None else f"scope={self.scope}"
        return (
            f"{self.dim}, {self.dim_out}, dim_k={self.dim_k}, heads={self.heads}, dim_u={self.dim_u}, {scope}, "
            f"key_norm={self.key_norm}, content={self.content}, position={self.position}, stride={self.stride}, "
            f"engine={self.engine}"
        )

    def __repr__(self) -> str:
        return re.sub(r"\n *\(\w+\): Tap\(\)", "", super().__repr__())  # they have no weights, and there are ten

    @property
    def content(self) -> bool:
        """Whether the content half is on. Raises ValueError where one that was never made is switched on."""
        return self._content

    @content.setter
    def content(self, on: bool) -> None:
        if on:
            _check_made(self.to_k, "content")
        self._content = on

    @property
    def position(self) -> bool:
        """Whether the position half is on. Raises ValueError where one that was never made is switched on."""
        return self._position

    @position.setter
    def position(self, on: bool) -> None:
        if on:
            _check_made(self.embeddings, "position")
        self._position = on

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """(b, dim, H, W), or (b, dim, n) -> (b, dim_out, H / stride, W / stride), rounded up.

        context: where keys and values come from, x itself by default. mask: bool (b, H, W), False where the context
        is left out.
        """
        size = self._map_size(x)
        x = self.input(x)
        context = self._check_context(x if context is None else context, x)
        hidden = None if mask is None else ~self._check_mask(mask, context).flatten(1)[..., None, None]  # (b, m, 1, 1)
        to_q, to_k, to_v = self._projections(x, context)
        q = to_q.flatten(2).unflatten(1, (self.heads, self.dim_k)).transpose(2, 3)
        if self.key_norm == "softmax_keys_queries":
            q = wide(q).softmax(-1).to(q.dtype)  # autocast on a GPU would leave it, and all that follows, in float32
        q = self.q(q)  # (b, h, n, k)
        keys = None
        if to_k is not None:
            k = self.k(_slices(to_k, self.dim_k))  # (b, m, k, u)
            keys = self._keys(k if hidden is None else hide_keys(wide(k), hidden, self.key_norm))
        v = _slices(to_v, self.dim_v)  # (b, m, v, u)
        v = self.v(v if hidden is None else v.masked_fill(hidden, 0.0))
        with without_autocast(x.device.type):
            y = self._output(q, keys, v, size).to(q.dtype)  # (b, h, n, v)
        y = y.transpose(2, 3).reshape(x.shape[0], self.dim_out, *x.shape[2:])  # channel = h v, head by head
        y = self.pool(y)
        return self.output(projection.channels_first(y) if self.dims == 2 and x.is_contiguous() else y)

    def position_lambdas(self, v: Tensor, size: positions.Size) -> Tensor:
        """λp_n for every query of values v (b, m, v, u) on an H x W map, bias included: (b, n, k, v).

        Raises ValueError where the layer was made without its position half.
        """
        lambdas = convolution.position_lambdas(v, self._table().to(v.dtype), size)
        return lambdas if self.position_bias is None else lambdas + self.position_bias[:, None]

    def explain_engine(self, batch: int, size: positions.Size | int, device: torch.device | str = "cpu") -> str:
        """One sentence: the engine that "auto" takes for `batch` inputs of size (H, W), or n, and why.

        Raises ValueError for what is no size and no device.
        """
        check_counts(batch=batch)
        try:
            kind = torch.device(device).type
        except RuntimeError:
            raise ValueError(f"device must be one that PyTorch knows, as 'cpu' or 'cuda:0', not {device!r}") from None
        size = self._checked_size(size)
        self._check_reach(size[-self.dims :])
        if not self.position:
            return "none: this layer has no position part."
        return engines.explain(*self.shapes(batch, size), size, kind)

    def shapes(self, batch: int, size: positions.Size) -> tuple[Shape, Shape, Shape]:
        """Of queries, values and table for `batch` inputs on an H x W map, as engines take them.

        Raises ValueError where the layer was made without its position half.
        """
        n = size[0] * size[1]
        return (batch, self.heads, n, self.dim_k), (batch, n, self.dim_v, self.dim_u), self._table().shape

    def _checked_size(self, size: Any) -> positions.Size:
        """(H, W) of a map, as it is given to `explain_engine`; ValueError for anything else."""
        check_size(size)
        return size[0], size[1]

    def _map_size(self, x: Tensor) -> positions.Size:
        """(H, W) of an input that fits; ValueError for another."""
        check_map(self, x, self.dim, self.dims)
        sides = tuple(x.shape[2:])
        self._check_reach(sides)
        return (1, *sides)[-2], sides[-1]

    def _check_reach(self, sides: tuple[int, ...]) -> None:
        if self.position and self.scope is None and any(a > b for a, b in zip(sides, self.size or (), strict=True)):
            raise ValueError(f"this global lambda layer was made for inputs up to size={self.size}, not {sides}")

    def _same_grid(self) -> bool:
        """Whether queries and context must lie on one grid: without it, no relative position is defined."""
        return self.position

    def _check_context(self, context: Tensor, x: Tensor) -> Tensor:
        """A context that fits the queries' map; ValueError for another."""
        if context.dim() != x.dim() or context.shape[:2] != (x.shape[0], self.dim_context):
            axes = "H, W" if self.dims == 2 else "n"
            batch = x.shape[0]
            raise ValueError(f"the context must be ({batch}, {self.dim_context}, {axes}), not {tuple(context.shape)}")
        if 0 in context.shape[2:]:
            raise ValueError(f"the context must have a position to see, and its shape is {tuple(context.shape)}")
        if self._same_grid() and context.shape[2:] != x.shape[2:]:
            raise ValueError(
                f"the context is {tuple(context.shape[2:])} and the queries {tuple(x.shape[2:])}: between two grids no "
                "relative position is defined, so only a layer with content alone takes them (position=False)"
            )
        return context

    def _check_mask(self, mask: Tensor, context: Tensor) -> Tensor:
        """A mask that fits the context, (b or 1, H, W); ValueError for another."""
        shape = (context.shape[0], *context.shape[2:])
        if mask.dtype != torch.bool or mask.shape[1:] != shape[1:] or mask.shape[0] not in (1, shape[0]):
            axes = "b, H, W" if self.dims == 2 else "b, n"
            raise ValueError(
                f"mask must be a bool tensor ({axes}) = {shape} of the context, not {mask.dtype} {tuple(mask.shape)}"
            )
        return mask

    def _table(self) -> Tensor:
        """The embeddings as engines take them: (k, u, R, C). ValueError for a layer that has none."""
        return _check_made(self.embeddings, "position")

    def _projections(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Normed queries, keys and values as maps: together, where that is faster and nobody listens to one of them."""
        to_k = self.to_k if self.content else None
        layers = [self.to_q, self.to_v] if to_k is None else [self.to_q, to_k, self.to_v]
        plain = all(self._is_product(one) and not _hooked(one) for one in layers)
        if context is x and plain and projection.fits(x, weights := [one.weight for one in layers]):
            norms = [self.norm_q, *(nn.Identity() for _ in layers[2:]), self.norm_v]
            if not torch.is_grad_enabled() and all(map(self._foldable, norms)):
                q, *k, v = projection.project_normed(x, weights, norms)
                return q, k[0] if k else None, v
            q, *k, v = projection.project(x, weights)
        else:
            q, v = self.to_q(x), self.to_v(context)
            k = [] if to_k is None else [to_k(context)]
        return _plain_gradient(self.norm_q(q)), k[0] if k else None, _plain_gradient(self.norm_v(v))

    def _is_product(self, layer: nn.Module) -> bool:
        """Whether a projection is a product with its weights, and not another convolution put in its place."""
        if type(layer) is not self.Projection or layer.bias is not None or layer.groups != 1:
            return False
        return {*layer.kernel_size, *layer.stride} == {1} and layer.padding in ((0,) * self.dims, "valid")

    def _foldable(self, norm: nn.Module) -> bool:
        """Whether a norm is but a number times each channel and a number added, which the projection can do as well."""
        if type(norm) is not self.Norm:
            return type(norm) is nn.Identity
        return not norm.training and norm.running_var is not None and not _hooked(norm)

    def _output(self, q: Tensor, keys: Tensor | None, v: Tensor, size: positions.Size) -> Tensor:
        """y before pooling: in one sum, unless somebody listens to a half.  -> (b, h, n, v)"""
        if keys is None or not self.position or self.content_output.watched or self.position_output.watched:
            return self._halves(q, keys, v, size)
        return self._positions(q, v, size, self._content_lambda(keys, wide(v)))

    def _halves(self, q: Tensor, keys: Tensor | None, v: Tensor, size: positions.Size) -> Tensor:
        """y before pooling, as content + position; zero where both are switched off.  -> (b, h, n, v)"""
        q, v = wide(q), wide(v)
        content = None if keys is None else self._content_output(q, keys, v)
        if not self.position:
            return v.new_zeros(()).expand(*q.shape[:3], self.dim_v) if content is None else content
        position = self._position_output(q, v, size)
        return position if content is None else content + position

    def _keys(self, k: Tensor) -> Tensor:
        return self.keys(normalize_keys(wide(k), self.key_norm))  # (b, m, k, u)

    def _content_lambda(self, keys: Tensor, v: Tensor) -> Tensor:
        """(b, m, k, u), (b, m, v, u) -> (b, k, v)"""
        return self.content_lambda(torch.einsum("bmku,bmvu->bkv", keys, v))

    def _content_output(self, q: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        """(b, h, n, k), (b, m, k, u), (b, m, v, u) -> (b, h, n, v)"""
        lambdas = self._content_lambda(keys, v)
        if q.stride(2) == 1:  # the channels of q lie apart, and so shall those of y
            return self.content_output((lambdas.mT[:, None] @ q.mT).mT)
        rows = q.transpose(1, 2).flatten(1, 2) @ lambdas  # (b, n h, v)
        return self.content_output(rows.unflatten(1, (-1, q.shape[1])).transpose(1, 2))

    def _position_output(self, q: Tensor, v: Tensor, size: positions.Size) -> Tensor:
        """(b, h, n, k), (b, m, v, u) -> (b, h, n, v)"""
        return self.position_output(self._positions(q, v, size))

    def _positions(self, q: Tensor, v: Tensor, size: positions.Size, content: Tensor | None = None) -> Tensor:
        """(λc + λp_n)ᵀ q_n.  (b, h, n, k), (b, m, v, u), (b, k, v) or None for no λc -> (b, h, n, v)"""
        if self.position_lambda.watched:  # by way of λp, so that it has a gradient and a hook may replace it
            lambdas = self.position_lambda(self.position_lambdas(wide(v), size))
            lambdas = lambdas if content is None else lambdas + content[:, None]
            return torch.einsum("bhnk,bnkv->bhnv", wide(q), lambdas)
        table = self._table()
        if self.position_bias is not None:  # the same for every n, as λc is
            bias = wide(self.position_bias)[:, None].expand(v.shape[0], -1, self.dim_v)
            content = bias if content is None else content + bias
        auto = self.engine == "auto"
        name = engines.select(q.shape, v.shape, table.shape, size, v.device.type) if auto else self.engine
        _check_engine(name)  # it may have been set since
        return engines.ENGINES[name](q, v, table, size, content)


def _check_made(part: Part | None, half: str) -> Part:
    """The part that a half needs; ValueError where the layer was made without it."""
    if part is None:
        raise ValueError(f"this lambda layer was made without its {half} half ({half}=False)")
    return part


def _check_engine(name: str) -> None:
    if name != "auto" and name not in engines.ENGINES:
        raise ValueError(f"engine must be auto or one of {', '.join(engines.ENGINES)}, not {name!r}")


def _hooked(module: nn.Module) -> bool:
    """Whether something waits for its forward pass, be it a hook on all modules."""
    return hooked(module) or nn.modules.module._has_any_global_hook()


def _slices(x: Tensor, depth: int) -> Tensor:
    """The u slices of keys or values: (b, depth u, H, W) -> (b, m, depth, u)"""
    return x.flatten(2).unflatten(1, (depth, -1)).permute(0, 3, 1, 2)


def _plain_gradient(x: Tensor) -> Tensor:
    """x, whose gradient arrives as a contiguous tensor where the batch is one.

    The stride of an axis of length one is arbitrary, and the backward pass of batch norm on the CPU takes a gradient
    with strides (c, 1, W c, c) for another layout: its numbers land at wrong positions (seen in torch 2.15). A hook is
    not part of what a compiler or a trace sees, an index is.
    """
    if torch.jit._trace.is_tracing() or (torch.compiler.is_compiling() and x.shape[0] == 1):
        return x.index_select(0, torch.arange(x.shape[0], device=x.device))  # a trace may be called with any batch
    if torch.compiler.is_compiling():
        return x
    if x.shape[0] == 1 and x.requires_grad:
        x.register_hook(lambda grad: None if grad is None else grad.contiguous())  # none: seen in second derivatives
    return x
