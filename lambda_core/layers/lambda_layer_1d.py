"""The lambda layer on sequences, where a query may be kept from seeing what comes after it."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lambda_core.functional import causal_content_lambdas, normalize_seen_keys, wide
from lambda_core.layers.face import check_flags
from lambda_core.layers.lambda_layer import LambdaLayer
from lambda_core.layers.pooling import AveragePool1d
from lambda_core.positions import Size, is_count


class LambdaLayer1d(LambdaLayer):
    """`LambdaLayer` on a sequence: (b, dim, n) -> (b, dim_out, n / stride), rounded up.

    Channels come before positions, as in nn.Conv1d: the (b, n, dim) of a transformer has to be transposed. There is no
    state that steps on: to append to a sequence, the layer runs on all of it again.

    size: the longest sequence, an integer, for a global scope. causal: query n sees the context m <= n alone. Its keys
    are normalised over what it sees, so λc_n depends on n, and only the offsets up to 0 have embeddings, r // 2 + 1 of
    them, or `size` under a global scope. (In training, batch norm on queries and values takes its statistics from all
    positions, those to come too: norm_qv=False leaves it out.) With a stride, an output sees to the end of the
    positions that it averages. A causal layer takes a context only of the queries' length, since what is past must be
    defined. mask: (b, n). The other options are those of `LambdaLayer`; embeddings are (k, u, R).

    Traced, a causal layer has content_lambda (b, n, k, v) and keys (b, n, m, k, u), made for the trace alone.
    """

    dims: ClassVar = 1
    Projection: ClassVar = nn.Conv1d
    Norm: ClassVar = nn.BatchNorm1d
    Pool: ClassVar = AveragePool1d

    def __init__(
        self,
        dim: int,
        dim_out: int | None = None,
        *,
        size: int | tuple[int] | None = None,
        causal: bool = False,
        **options: Any,
    ) -> None:
        check_flags(causal=causal)
        row = size if size is None or isinstance(size, (tuple, list)) else (size,)
        super().__init__(dim, dim_out, size=row, **options)
        self.causal = causal
        if causal and self.embeddings is not None:
            past = self.embeddings.detach()[..., : self.embeddings.shape[-1] // 2 + 1]
            self.embeddings = nn.Parameter(past.clone())

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, causal={self.causal}"

    def _checked_size(self, size: Any) -> Size:
        given = tuple(size) if isinstance(size, (tuple, list)) else (size,)
        if len(given) not in (1, 2) or not is_count(given[-1]) or given[:-1] not in ((), (1,)):
            raise ValueError(f"size must be n, a positive integer, not {size!r}")
        return 1, given[-1]

    def _same_grid(self) -> bool:
        return super()._same_grid() or self.causal

    def _table(self) -> Tensor:
        table = super()._table()
        if self.causal:
            table = F.pad(table, (0, table.shape[-1] - 1))  # zero for the offsets to come
        return table[:, :, None]  # (k, u, 1, R)

    def _keys(self, k: Tensor) -> Tensor:
        if not self.causal:
            return super()._keys(k)
        if self.keys.watched:
            n = k.shape[1]
            self.keys(normalize_seen_keys(wide(k), k.new_ones((n, n), dtype=torch.bool).tril(), self.key_norm))
        return wide(k)

    def _output(self, q: Tensor, keys: Tensor | None, v: Tensor, size: Size) -> Tensor:
        return self._halves(q, keys, v, size) if self.causal else super()._output(q, keys, v, size)

    def _content_output(self, q: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        if not self.causal:
            return super()._content_output(q, keys, v)
        lambdas = self.content_lambda(causal_content_lambdas(keys, v, self.key_norm))  # (b, n, k, v)
        return self.content_output(torch.einsum("bhnk,bnkv->bhnv", q, lambdas))
