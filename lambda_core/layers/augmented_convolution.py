"""A 3x3 convolution some of whose output channels come from global self-attention."""

import torch
from torch import Tensor, nn

from lambda_core.layers import relative
from lambda_core.layers.convolution import Convolution
from lambda_core.layers.face import check_counts, check_map, check_shares, check_size
from lambda_core.layers.pooling import pooling
from lambda_core.positions import Size


class AugmentedConvolution(nn.Module):
    """concat(conv3x3(x), W attention(x)): (b, dim, H, W) -> (b, dim_out, H / stride, W / stride).

    The attention is that of `GlobalAttention` with queries and keys of max(key_share dim_out, 20 heads) channels, all
    heads together, and values of value_share dim_out, rounded down to a multiple of heads, at least one a head; the
    convolution makes the rest. It runs at full resolution and is then averaged over the stride. size: as in
    `GlobalAttention`. No bias. (Bello et al. 2019, "Attention Augmented Convolutional Networks"; κ = 0.2 and υ = 0.1
    in stages c3 to c5 of a ResNet-50.) Raises ValueError where nothing is left for the convolution.
    """

    def __init__(
        self,
        dim: int,
        dim_out: int | None = None,
        *,
        stride: int = 1,
        heads: int = 8,
        key_share: float = 0.2,
        value_share: float = 0.1,
        size: Size = relative.SIZE,
    ) -> None:
        super().__init__()
        dim_out = dim if dim_out is None else dim_out
        check_counts(dim=dim, dim_out=dim_out, heads=heads)
        check_shares(key_share=key_share, value_share=value_share)
        check_size(size)
        depth = max(20, int(key_share * dim_out) // heads)  # d, of one head
        values = max(1, int(value_share * dim_out) // heads) * heads
        if values >= dim_out:
            raise ValueError(
                f"attention takes {values} of dim_out={dim_out} channels and leaves none for the convolution: "
                f"lower heads={heads} or value_share={value_share}"
            )
        self.heads = heads
        self.depths = (heads * depth, heads * depth, values)
        self.convolution = Convolution(dim, dim_out - values, stride=stride)
        self.to_qkv = nn.Conv2d(dim, sum(self.depths), 1, bias=False)
        self.to_out = nn.Conv2d(values, values, 1, bias=False)
        self.rows, self.columns = relative.table(depth, size[0]), relative.table(depth, size[1])
        self.pool = pooling(stride)

    def forward(self, x: Tensor) -> Tensor:
        check_map(self, x, self.to_qkv.in_channels)
        q, k, v = (relative.split(part, self.heads) for part in self.to_qkv(x).split(self.depths, 1))
        y = relative.attend(q, k, v, self.rows, self.columns, (x.shape[2], x.shape[3]))
        y = self.to_out(y.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:]))
        return torch.cat([self.convolution(x), self.pool(y)], 1)
