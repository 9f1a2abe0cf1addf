"""The lambda layer on feature maps.

Letters, here and everywhere: b batch, h heads, k depth of queries and keys, v depth of values, u intra-depth,
n query positions, m context positions (here the same H x W grid).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lambda_core import positions
from lambda_core.engines import ENGINES, convolution, select
from lambda_core.functional import KEY_NORMS, normalize_keys
from lambda_core.tracing import Tap


class LambdaLayer(nn.Module):
    """y_n = (λc + λp_n)ᵀ q_n on a feature map: (b, dim, H, W) -> (b, dim_out, H / stride, W / stride).

    λc = sum over m, u of K̄_mku V_mvu is shared by all queries; λp_n = sum over m, u of E_{m-n,ku} V_mvu moves with n.
    Queries have h heads; keys and values are shared by the heads, v = dim_out / h (Bello 2021, section 3).

    dim_k, heads, dim_u: k, h, u. scope: r, an odd integer, context r x r around the query; None is global and needs
    size=(H, W), the largest map to come. key_norm: softmax | softmax_keys_queries | l2 | none, over positions.
    content, position: switch off either half. norm_qv: batch norm on queries and values. position_bias: a number b_k added
    to every λp_n[k, v], as the implementations with a convolution for E have it. stride: average pooling of the output, after the layer has run at full resolution. engine: the order of the
    position sum, see `lambda_core.engines`; all give the same result.

    Raises ValueError for arguments that do not fit together and for an input larger than `size` under a global scope.
    """

    def __init__(
        self,
        dim: int,
        dim_out: int | None = None,
        *,
        dim_k: int = 16,
        heads: int = 4,
        dim_u: int = 1,
        scope: int | None = 23,
        size: positions.Size | None = None,
        key_norm: str = "softmax",
        content: bool = True,
        position: bool = True,
        norm_qv: bool = True,
        position_bias: bool = False,
        stride: int = 1,
        engine: str = "auto",
    ) -> None:
        super().__init__()
        dim_out = dim if dim_out is None else dim_out
        if dim_out % heads:
            raise ValueError(f"dim_out={dim_out} cannot be split over heads={heads}: it must be a multiple of heads")
        if key_norm not in KEY_NORMS:
            raise ValueError(f"key_norm must be one of {', '.join(KEY_NORMS)}, not {key_norm!r}")
        if not (content or position):
            raise ValueError("a lambda layer needs content=True or position=True; with neither its output is zero")
        if engine != "auto" and engine not in ENGINES:
            raise ValueError(f"engine must be auto or one of {', '.join(ENGINES)}, not {engine!r}")
        self.dim, self.dim_out, self.dim_k, self.heads, self.dim_u = dim, dim_out, dim_k, heads, dim_u
        self.dim_v = dim_out // heads
        self.scope, self.size, self.key_norm, self.stride, self.engine = scope, size, key_norm, stride, engine
        self.content, self.position = content, position

        self.to_q = nn.Conv2d(dim, heads * dim_k, 1, bias=False)
        self.to_k = nn.Conv2d(dim, dim_k * dim_u, 1, bias=False) if content else None
        self.to_v = nn.Conv2d(dim, self.dim_v * dim_u, 1, bias=False)
        self.norm_q = nn.BatchNorm2d(heads * dim_k) if norm_qv else nn.Identity()
        self.norm_v = nn.BatchNorm2d(self.dim_v * dim_u) if norm_qv else nn.Identity()
        self.embeddings: nn.Parameter | None = None
        self.position_bias: nn.Parameter | None = None
        if position:
            self.embeddings = nn.Parameter(torch.empty(dim_k, dim_u, *positions.table_size(scope, size)))
            if position_bias:
                self.position_bias = nn.Parameter(torch.zeros(dim_k))
        elif position_bias:
            raise ValueError("position_bias=True has no meaning with position=False")
        self.pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
        self.reset_parameters()

        self.input_tap, self.output_tap = Tap(), Tap()
        self.q_tap, self.k_tap, self.keys_tap, self.v_tap = Tap(), Tap(), Tap(), Tap()
        self.content_lambda_tap, self.position_lambda_tap = Tap(), Tap()
        self.content_output_tap, self.position_output_tap = Tap(), Tap()

    def reset_parameters(self) -> None:
        """Projections from normal(dim^-1/2), embeddings from normal(0.02)."""
        for projection in (self.to_q, self.to_k, self.to_v):
            if projection is not None:
                nn.init.normal_(projection.weight, std=self.dim**-0.5)
        if self.embeddings is not None:
            nn.init.normal_(self.embeddings, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        b, _, *size = x.shape
        size = (size[0], size[1])
        if self.position and self.scope is None and (size[0] > self.size[0] or size[1] > self.size[1]):
            raise ValueError(f"this global lambda layer was made for maps up to {self.size}, not {size}")
        x = self.input_tap(x)
        q = self.norm_q(self.to_q(x)).view(b, self.heads, self.dim_k, -1).transpose(2, 3)  # (b, h, n, k)
        v = self.norm_v(self.to_v(x)).view(b, self.dim_v, self.dim_u, -1).permute(0, 3, 1, 2)  # (b, m, v, u)
        q, v = self.q_tap(q.softmax(-1) if self.key_norm == "softmax_keys_queries" else q), self.v_tap(v)
        y = self._content_output(x, q, v) + self._position_output(q, v, size)  # (b, h, n, v)
        y = y.transpose(2, 3).reshape(b, self.dim_out, *size)  # head by head: channel = h v
        return self.output_tap(self.pool(y))

    def position_lambdas(self, v: Tensor, size: positions.Size) -> Tensor:
        """λp_n for every query of values v (b, m, v, u), bias included: (b, n, k, v)."""
        lambdas = convolution.position_lambdas(v, self.embeddings.to(v.dtype), size)
        return lambdas if self.position_bias is None else lambdas + self.position_bias[:, None]

    def _content_output(self, x: Tensor, q: Tensor, v: Tensor) -> Tensor | float:
        if self.to_k is None:
            return 0.0
        k = self.to_k(x).view(len(x), self.dim_k, self.dim_u, -1).permute(0, 3, 1, 2)  # (b, m, k, u)
        keys = self.keys_tap(normalize_keys(self.k_tap(k), self.key_norm))
        content = self.content_lambda_tap(torch.einsum("bmku,bmvu->bkv", keys, v))
        return self.content_output_tap(q @ content[:, None])

    def _position_output(self, q: Tensor, v: Tensor, size: positions.Size) -> Tensor | float:
        if self.embeddings is None:
            return 0.0
        if self.position_lambda_tap.watched:
            self.position_lambda_tap(self.position_lambdas(v, size))
        engine = ENGINES[select(q.shape, v.shape, self.embeddings.shape, size) if self.engine == "auto" else self.engine]
        wide = torch.promote_types(q.dtype, torch.float32)  # sums over hundreds of positions overflow in fp16
        with torch.autocast(q.device.type, enabled=False):
            y = engine(q.to(wide), v.to(wide), self.embeddings.to(wide), size).to(q.dtype)
        if self.position_bias is not None:
            y = y + (q @ self.position_bias)[..., None]
        return self.position_output_tap(y)
