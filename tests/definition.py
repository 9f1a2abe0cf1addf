"""A lambda layer by the definition, pair by pair."""

import torch

from lambda_core.functional import lambda_layer
from lambda_core.tracing import trace


def by_definition(layer, x, size, pool, known=None):
    """The layer through lambda_layer: keys before their norm, one embedding a pair found by a walk over all pairs.

    known: (b, n), True where the context is there.
    """
    seen = trace(layer, x)
    q, v = seen["q"], seen["v"]
    k = seen.get("k", torch.zeros(*v.shape[:2], layer.dim_k, layer.dim_u, dtype=v.dtype))
    key_norm = layer.key_norm if layer.content else "none"
    pairs, causal = None, getattr(layer, "causal", False)
    n = size[0] * size[1]
    if layer.position:
        table = layer.embeddings if layer.dims == 2 else layer.embeddings[:, :, None]
        centre = table.shape[2] // 2, table.shape[3] - 1 if causal else table.shape[3] // 2
        pairs = torch.zeros(n, n, layer.dim_k, layer.dim_u, dtype=v.dtype)
        for query in range(n):
            for context in range(n):
                row = context // size[1] - query // size[1] + centre[0]
                column = context % size[1] - query % size[1] + centre[1]
                if 0 <= row < table.shape[2] and 0 <= column < table.shape[3]:
                    pairs[query, context] = table[:, :, row, column].detach()
    mask = torch.ones(n, n, dtype=torch.bool).tril() if causal else None
    if known is not None:
        mask = known[:, None] if mask is None else known[:, None] & mask
    # the trace has queries after their norm
    y = lambda_layer(q, k, v, pairs, mask=mask, key_norm=key_norm.removesuffix("_keys_queries"))
    if layer.position_bias is not None:
        y = y + (q @ layer.position_bias.detach())[..., None]
    y = y.transpose(2, 3).reshape(len(x), layer.dim_out, *x.shape[2:])
    return pool(y)


def identity(y):
    return y
