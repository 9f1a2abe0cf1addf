"""Aggregation in a window, with weights from how alike two positions are and how far apart."""

from torch import Tensor, nn

from lambda_core.functional import wide
from lambda_core.layers.face import check_counts, check_map
from lambda_core.layers.neighbours import check_window, inside, neighbours, offsets
from lambda_core.layers.pooling import pooling


class LocalRelation(nn.Module):
    """y_n = W sum over m of softmax_m(-(q_n - k_m)² + g(m - n)) x_m over a window: (b, dim, H, W) -> (b, dim_out, ...).

    Queries and keys are one number for each group of `share` channels, which have their weights in common; g is a
    network of two layers from an offset, in units of the window's half, to a number a group. Places outside the map
    have no weight. stride: average pooling of the output. (Hu et al. 2019, "Local Relation Networks", whose window is
    7 and share 8. The width of g's hidden layer is not given there: here a unit a group. W has no bias.)

    Raises ValueError for an even window, and for an input that is not (b, dim, H, W).
    """

    def __init__(
        self, dim: int, dim_out: int | None = None, *, stride: int = 1, window: int = 7, share: int = 8
    ) -> None:
        super().__init__()
        dim_out = dim if dim_out is None else dim_out
        check_counts(dim=dim, dim_out=dim_out, share=share)
        check_window(window)
        groups = -(-dim // share)  # the last may be smaller
        self.window, self.share = window, share
        self.to_q = nn.Conv2d(dim, groups, 1, bias=False)
        self.to_k = nn.Conv2d(dim, groups, 1, bias=False)
        self.geometry = nn.Sequential(nn.Linear(2, groups), nn.ReLU(inplace=True), nn.Linear(groups, groups))
        self.to_out = nn.Conv2d(dim, dim_out, 1, bias=False)
        self.pool = pooling(stride)

    def forward(self, x: Tensor) -> Tensor:
        check_map(self, x, self.to_q.in_channels)
        q = self.to_q(x).flatten(2)[:, :, None]  # (b, groups, 1, n)
        k = neighbours(self.to_k(x), self.window)  # (b, groups, m, n)
        places = offsets(self.window, x.device).T.to(x.dtype) / max(1, self.window // 2)  # (m, 2)
        logits = self.geometry(places).T[..., None] - (wide(q) - wide(k)).square()  # float16 ends at 256²
        weights = logits.masked_fill(~inside(x, self.window), float("-inf")).softmax(2).to(x.dtype)
        weights = weights.repeat_interleave(self.share, 1)[:, : x.shape[1]]  # (b, dim, m, n)
        y = (weights * neighbours(x, self.window)).sum(2)
        return self.pool(self.to_out(y.unflatten(2, x.shape[2:])))
