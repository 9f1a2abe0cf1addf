"""Self-attention over the whole map: every pair of positions has a weight, for every head."""

from torch import Tensor, nn

from lambda_core.layers import relative
from lambda_core.layers.face import check_counts, check_map, check_size
from lambda_core.layers.pooling import pooling
from lambda_core.positions import Size


class GlobalAttention(nn.Module):
    """y_n = sum over m of softmax_m(q_n · (k_m + r_(m-n)) / √d) v_m: (b, dim, H, W) -> (b, dim_out, H / stride, ...).

    The embedding of an offset is r = row part + column part, the heads share it (Bello et al. 2019, section 3; the
    baseline of Bello 2021, section 5). d = dim_out / heads; projections without bias; time and memory b h n².
    size: the map whose offsets have embeddings of their own; farther ones take the outermost (Shaw et al. 2018).
    stride: average pooling of the output.

    Raises ValueError for dim_out that is no multiple of heads, and for an input that is not (b, dim, H, W).
    """

    def __init__(
        self, dim: int, dim_out: int | None = None, *, stride: int = 1, heads: int = 8, size: Size = relative.SIZE
    ) -> None:
        super().__init__()
        dim_out = dim if dim_out is None else dim_out
        check_counts(dim=dim, dim_out=dim_out)
        check_size(size)
        depth = relative.head_depth(dim_out, heads)
        self.heads = heads
        self.to_qkv = nn.Conv2d(dim, 3 * dim_out, 1, bias=False)
        self.rows, self.columns = relative.table(depth, size[0]), relative.table(depth, size[1])
        self.pool = pooling(stride)

    def forward(self, x: Tensor) -> Tensor:
        check_map(self, x, self.to_qkv.in_channels)
        q, k, v = (relative.split(part, self.heads) for part in self.to_qkv(x).chunk(3, 1))
        y = relative.attend(q, k, v, self.rows, self.columns, (x.shape[2], x.shape[3]))
        return self.pool(y.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:]))
