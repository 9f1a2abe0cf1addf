"""Self-attention in a window around each position."""

import torch
from torch import Tensor, einsum, nn

from lambda_core.layers import relative
from lambda_core.layers.face import check_counts, check_map
from lambda_core.layers.neighbours import check_window, inside, neighbours, offsets, reached
from lambda_core.layers.pooling import pooling


class LocalAttention(nn.Module):
    """y_n = sum over m of softmax_m(q_n · (k_m + r_(m-n)) / √d) v_m over a window: (b, dim, H, W) -> (b, dim_out, ...).

    Half the channels of r hold an embedding of the row offset, the others one of the column offset; each head has its
    own. d = dim_out / heads, window = 7 and heads = 8 in the source; projections without bias. Places outside the map
    have no weight. stride: average pooling of the output. Stores window² keys and values a position,
    places outside the map among them, but no row or column that no position reaches. (Ramachandran et
    al. 2019, "Stand-Alone Self-Attention in Vision Models"; it has no 1/√d.)

    Raises ValueError for dim_out that is no multiple of heads, for an even window, and for an input that is not
    (b, dim, H, W).
    """

    def __init__(
        self, dim: int, dim_out: int | None = None, *, stride: int = 1, heads: int = 8, window: int = 7
    ) -> None:
        super().__init__()
        dim_out = dim if dim_out is None else dim_out
        check_counts(dim=dim, dim_out=dim_out)
        check_window(window)
        depth = relative.head_depth(dim_out, heads)
        self.heads, self.window = heads, window
        self.to_qkv = nn.Conv2d(dim, 3 * dim_out, 1, bias=False)
        self.rows = nn.Parameter(torch.randn(heads, depth // 2, window) * depth**-0.5)
        self.columns = nn.Parameter(torch.randn(heads, depth - depth // 2, window) * depth**-0.5)
        self.pool = pooling(stride)

    def forward(self, x: Tensor) -> Tensor:
        check_map(self, x, self.to_qkv.in_channels)
        q, k, v = self.to_qkv(x).chunk(3, 1)
        q = q.flatten(2).unflatten(1, (self.heads, -1))  # (b, h, d, n)
        q = q * q.shape[2] ** -0.5  # before the products, which overflow in float16
        window = reached(self.window, x.shape)
        k, v = (neighbours(part, window).unflatten(1, (self.heads, -1)) for part in (k, v))  # (b, h, d, m, n)
        places = offsets(window, x.device) + self.window // 2
        embeddings = torch.cat([self.rows[:, :, places[0]], self.columns[:, :, places[1]]], 1)  # (h, d, m)
        logits = einsum("bhdn,bhdmn->bhmn", q, k) + einsum("bhdn,hdm->bhmn", q, embeddings)
        logits = logits.masked_fill(~inside(x, window), float("-inf"))
        y = einsum("bhmn,bhdmn->bhdn", logits.softmax(2).to(v.dtype), v)
        return self.pool(y.flatten(1, 2).unflatten(2, x.shape[2:]))
