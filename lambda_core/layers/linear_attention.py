"""Attention without a map over pairs: the context is summed up once, and every query reads the sum.

These are the nearest relatives of a content lambda. Both keep the shape and add their result to what they were given,
and both stand at the end of a convolutional block.
"""

from typing import ClassVar

from torch import Tensor, einsum, nn

from lambda_core.layers.convolution import ConvolutionThen
from lambda_core.layers.face import check_counts
from lambda_core.layers.relative import head_depth


def _depths(dim: int, dim_k: int | None, dim_v: int | None) -> tuple[int, int]:
    """Depths of keys and values, half of `dim` where not given. Raises ValueError for a depth that is no count."""
    depths = [max(1, dim // 2) if depth is None else depth for depth in (dim_k, dim_v)]
    check_counts(dim_k=depths[0], dim_v=depths[1])
    return depths[0], depths[1]


class DoubleAttention(nn.Module):
    """x_n + W (A softmax_m(B)ᵀ) softmax_k(Q_n): gather, then distribute.  (b, dim, H, W) -> the same.

    A = features (b, values, m), B = attention maps (b, k, m) that gather k descriptors over the positions m, Q = the
    queries (b, k, n), normalised over k, that mix them at each position. dim_k, dim_v: k and values, half of `dim`
    where not given. (Chen et al. 2018, "A²-Nets: Double Attention Networks", whose five blocks stand after residual
    blocks; here the sum with x is taken before the shortcut is added. No bias.)
    """

    def __init__(self, dim: int, *, dim_k: int | None = None, dim_v: int | None = None) -> None:
        super().__init__()
        depth, values = _depths(dim, dim_k, dim_v)
        self.to_features = nn.Conv2d(dim, values, 1, bias=False)
        self.to_gather = nn.Conv2d(dim, depth, 1, bias=False)
        self.to_distribute = nn.Conv2d(dim, depth, 1, bias=False)
        self.to_out = nn.Conv2d(values, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        features = self.to_features(x).flatten(2)  # (b, v, m)
        gather = self.to_gather(x).flatten(2).softmax(2)  # (b, k, m)
        distribute = self.to_distribute(x).flatten(2).softmax(1)  # (b, k, n)
        descriptors = einsum("bvm,bkm->bvk", features, gather.to(features.dtype))
        y = einsum("bvk,bkn->bvn", descriptors, distribute.to(features.dtype))
        return x + self.to_out(y.unflatten(2, x.shape[2:]))


class EfficientAttention(nn.Module):
    """x_n + W concat over heads of softmax_k(Q_n)ᵀ (softmax_m(K)ᵀ V).  (b, dim, H, W) -> the same.

    K (b, h, k, m) is normalised over positions, Q (b, h, k, n) over k; V (b, h, v, m). dim_k, dim_v: all heads
    together, half of `dim` where not given. (Shen et al. 2018, "Efficient Attention: Attention with Linear
    Complexities". No bias.)

    Raises ValueError for dim_k or dim_v that is no multiple of heads.
    """

    def __init__(self, dim: int, *, heads: int = 8, dim_k: int | None = None, dim_v: int | None = None) -> None:
        super().__init__()
        depth, values = _depths(dim, dim_k, dim_v)
        for name, value in {"dim_k": depth, "dim_v": values}.items():
            head_depth(value, heads, name)
        self.heads = heads
        self.to_q = nn.Conv2d(dim, depth, 1, bias=False)
        self.to_k = nn.Conv2d(dim, depth, 1, bias=False)
        self.to_v = nn.Conv2d(dim, values, 1, bias=False)
        self.to_out = nn.Conv2d(values, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (to(x).flatten(2).unflatten(1, (self.heads, -1)) for to in (self.to_q, self.to_k, self.to_v))
        context = einsum("bhkm,bhvm->bhkv", k.softmax(3).to(v.dtype), v)
        y = einsum("bhkn,bhkv->bhvn", q.softmax(2).to(v.dtype), context)
        return x + self.to_out(y.flatten(1, 2).unflatten(2, x.shape[2:]))


class DoubleAttentionConvolution(ConvolutionThen):
    """A 3x3 convolution, then `DoubleAttention`."""

    Unit: ClassVar = DoubleAttention


class EfficientAttentionConvolution(ConvolutionThen):
    """A 3x3 convolution, then `EfficientAttention`."""

    Unit: ClassVar = EfficientAttention
