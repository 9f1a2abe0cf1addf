"""Aggregation in a window, with weights that a small network reads off the whole patch."""

import torch
from torch import Tensor, nn

from lambda_core.layers.face import check_counts, check_map
from lambda_core.layers.neighbours import check_window, neighbours
from lambda_core.layers.pooling import pooling


class PatchwiseAttention(nn.Module):
    """y_n = sum over m of γ(q_n, k_1 ... k_M)_m ⊙ v_m over a window of M: (b, dim, H, W) -> (b, dim_out, ...).

    γ sees the query and all keys of its window, (M + 1) dim_k channels: norm, relu, 1x1, norm, relu, 1x1, which gives M
    weights for each group of `share` value channels; no softmax. dim_k: a quarter of dim_out where not given. stride:
    average pooling of the output. (Zhao et al. 2020, "Exploring Self-attention for Image Recognition": SAN, patchwise,
    concatenation, window 7, share 8. Around the map its outermost values are repeated; the source mirrors, which a map
    smaller than the window does not allow.)

    Raises ValueError for dim_out that is no multiple of share, for an even window, and for an input that is not
    (b, dim, H, W).
    """

    def __init__(
        self,
        dim: int,
        dim_out: int | None = None,
        *,
        stride: int = 1,
        window: int = 7,
        dim_k: int | None = None,
        share: int = 8,
    ) -> None:
        super().__init__()
        dim_out = dim if dim_out is None else dim_out
        depth = max(1, dim_out // 4) if dim_k is None else dim_k
        check_counts(dim=dim, dim_out=dim_out, share=share, dim_k=depth)
        check_window(window)
        if dim_out % share:
            raise ValueError(f"dim_out={dim_out} cannot be split over groups of share={share}: it must be a multiple")
        groups, places = dim_out // share, window**2
        self.window, self.groups = window, groups
        self.to_q = nn.Conv2d(dim, depth, 1)
        self.to_k = nn.Conv2d(dim, depth, 1)
        self.to_v = nn.Conv2d(dim, dim_out, 1)
        self.to_weights = nn.Sequential(
            nn.BatchNorm2d(depth * (places + 1)),
            nn.ReLU(inplace=True),
            nn.Conv2d(depth * (places + 1), groups, 1, bias=False),
            nn.BatchNorm2d(groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(groups, groups * places, 1),
        )
        self.pool = pooling(stride)

    def forward(self, x: Tensor) -> Tensor:
        check_map(self, x, self.to_q.in_channels)
        keys = neighbours(self.to_k(x), self.window, "replicate").flatten(1, 2).unflatten(2, x.shape[2:])
        weights = self.to_weights(torch.cat([self.to_q(x), keys], 1)).flatten(2).unflatten(1, (self.groups, 1, -1))
        values = self.to_v(x)
        v = neighbours(values, self.window, "replicate").unflatten(1, (self.groups, -1))  # (b, g, share, m, n)
        y = (weights * v).sum(3).to(values.dtype)
        return self.pool(y.flatten(1, 2).unflatten(2, x.shape[2:]))
