"""Self-attention along the columns of a map, then along its rows: each position reaches every other in two steps."""

from torch import Tensor, einsum, nn
from torch.nn import functional as F

from lambda_core.layers import relative
from lambda_core.layers.face import check_counts, check_map, check_size
from lambda_core.layers.pooling import pooling
from lambda_core.positions import Size


class AxisAttention(nn.Module):
    """y_n = sum over m on n's line of softmax_m(q_n · (k_m + r_(m-n)) / √d) v_m: (b, dim, H, W) -> (b, dim_out, H, W).

    axis: 2 for lines along the height, 3 along the width. side: the longest line whose offsets have embeddings of
    their own. The heads share the embeddings.
    """

    def __init__(self, dim: int, dim_out: int, axis: int, heads: int, side: int) -> None:
        super().__init__()
        self.axis, self.heads = axis, heads
        self.to_qkv = nn.Conv2d(dim, 3 * dim_out, 1, bias=False)
        self.table = relative.table(relative.head_depth(dim_out, heads), side)

    def forward(self, x: Tensor) -> Tensor:
        lines = self.to_qkv(x).movedim((5 - self.axis, self.axis), (1, 2))  # (b, lines, n, channels)
        q, k, v = (part.unflatten(3, (self.heads, -1)).transpose(2, 3) for part in lines.chunk(3, 3))  # (b, l, h, n, d)
        logits = einsum("blhnd,dnm->blhnm", q, relative.pairs(self.table, x.shape[self.axis]))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=(logits * q.shape[-1] ** -0.5).to(q.dtype))
        return y.transpose(2, 3).flatten(3).movedim((1, 2), (5 - self.axis, self.axis))


class AxialAttention(nn.Module):
    """`AxisAttention` along the height, then along the width: (b, dim, H, W) -> (b, dim_out, H / stride, W / stride).

    Time and memory b h n √n on a square map (Ho et al. 2019; Wang et al. 2020, "Axial-DeepLab", of whose position
    terms this has the one on queries). size, stride: as in `GlobalAttention`.

    Raises ValueError for dim_out that is no multiple of heads, and for an input that is not (b, dim, H, W).
    """

    def __init__(
        self, dim: int, dim_out: int | None = None, *, stride: int = 1, heads: int = 8, size: Size = relative.SIZE
    ) -> None:
        super().__init__()
        dim_out = dim if dim_out is None else dim_out
        check_counts(dim=dim, dim_out=dim_out)
        check_size(size)
        self.along_height = AxisAttention(dim, dim_out, 2, heads, size[0])
        self.along_width = AxisAttention(dim_out, dim_out, 3, heads, size[1])
        self.pool = pooling(stride)

    def forward(self, x: Tensor) -> Tensor:
        check_map(self, x, self.along_height.to_qkv.in_channels)
        return self.pool(self.along_width(self.along_height(x)))
