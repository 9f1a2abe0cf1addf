"""What the self-attention layers share: heads, and logits that know how far apart two positions are."""

import torch
from torch import Tensor, einsum, nn
from torch.nn import functional as F

from lambda_core.layers.face import check_counts
from lambda_core.positions import Size

SIZE = (32, 32)  # the map for which tables are made where no size is given


def head_depth(dim: int, heads: int, name: str = "dim_out") -> int:
    """Channels of each head. Raises ValueError where they cannot be split."""
    check_counts(heads=heads)
    if dim % heads:
        raise ValueError(f"{name}={dim} cannot be split over heads={heads}: it must be a multiple of heads")
    return dim // heads


def split(x: Tensor, heads: int) -> Tensor:
    """(b, heads depth, H, W) -> (b, h, n, depth)"""
    return x.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3)


def table(depth: int, side: int) -> nn.Parameter:
    """One embedding for each offset along an axis, from -(side - 1) to side - 1: (depth, 2 side - 1)."""
    return nn.Parameter(torch.randn(depth, 2 * side - 1) * depth**-0.5)


def pairs(embeddings: Tensor, side: int) -> Tensor:
    """One embedding for each pair along an axis: (d, 2 reach + 1) -> (d, query, context).

    Offsets that the table does not reach take its first or last entry (Shaw et al. 2018).
    """
    reach = embeddings.shape[1] // 2
    steps = torch.arange(side, device=embeddings.device)
    return embeddings[:, (steps[None] - steps[:, None]).clamp(-reach, reach) + reach]


def attend(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor, size: Size) -> Tensor:
    """y_n = sum over m of softmax_m(q_n · (k_m + r_(row m - row n) + c_(column m - column n)) / √d) v_m.

    q, k (b, h, n, d), v (b, h, m, v), rows and columns: tables (d, offsets) -> (b, h, n, v)
    """
    maps = q.unflatten(2, size)  # (b, h, H, W, d)
    by_row = einsum("bhyxd,dyi->bhyxi", maps, pairs(rows, size[0]))
    by_column = einsum("bhyxd,dxj->bhyxj", maps, pairs(columns, size[1]))
    logits = (by_row[..., :, None] + by_column[..., None, :]).flatten(4).flatten(2, 3)  # (b, h, n, m)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=(logits * q.shape[-1] ** -0.5).to(q.dtype))
