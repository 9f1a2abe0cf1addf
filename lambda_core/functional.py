"""The lambda layer in its general form: any number of queries, any context, any embeddings, any mask."""

import torch
from torch import Tensor, einsum

KEY_NORMS = ("softmax", "softmax_keys_queries", "l2", "none")


def normalize_keys(k: Tensor, key_norm: str = "softmax", dim: int = 1) -> Tensor:
    """Keys as weights over the context, which lies along `dim`. The sum runs in float32 at least.

    softmax, softmax_keys_queries: exp(K) / sum over m of exp(K).  l2: K / ||K||, over m.  none: K.
    """
    if key_norm not in KEY_NORMS:
        raise ValueError(f"key_norm must be one of {', '.join(KEY_NORMS)}, not {key_norm!r}")
    if key_norm == "none":
        return k
    wide = k.float() if k.dtype in (torch.float16, torch.bfloat16) else k
    if key_norm == "l2":
        return torch.nn.functional.normalize(wide, dim=dim).to(k.dtype)
    return wide.softmax(dim).to(k.dtype)


def _check_shapes(q: Tensor, k: Tensor, v: Tensor, embeddings: Tensor | None, mask: Tensor | None) -> None:
    b, _, n, depth = q.shape
    m, u = k.shape[1], k.shape[3]
    if k.shape != (b, m, depth, u) or v.shape[:2] != (b, m) or v.shape[3] != u:
        raise ValueError(
            "lambda_layer takes q (b, h, n, k), k (b, m, k, u) and v (b, m, v, u), "
            f"not q {tuple(q.shape)}, k {tuple(k.shape)} and v {tuple(v.shape)}"
        )
    if embeddings is not None and embeddings.shape != (n, m, depth, u):
        raise ValueError(f"embeddings must be (n, m, k, u) = {(n, m, depth, u)}, not {tuple(embeddings.shape)}")
    if mask is not None and mask.shape not in ((n, m), (b, n, m)):
        raise ValueError(f"mask must be (n, m) = {(n, m)} or (b, n, m) = {(b, n, m)}, not {tuple(mask.shape)}")


def lambda_layer(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    embeddings: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    key_norm: str = "softmax",
) -> Tensor:
    """y_n = (λc + λp_n)ᵀ q_n with λc = sum over m, u of K̄_mku V_mvu and λp_n = sum over m, u of E_nmku V_mvu.

    q (b, h, n, k), k (b, m, k, u), v (b, m, v, u), embeddings (n, m, k, u) or None for content alone -> (b, h, n, v).
    mask (n, m) or (b, n, m), True where query n may see context m: the keys are normalised over what is seen, so λc
    then depends on n, and a query that sees nothing gives zero. `key_norm`: see `normalize_keys`; with
    softmax_keys_queries the queries too are normalised, over k.

    This is the definition (Bello 2021, section 3), written for clarity: with a mask it stores (b, n, m, k, u) numbers.
    Raises ValueError where shapes do not fit.
    """
    _check_shapes(q, k, v, embeddings, mask)
    if key_norm == "softmax_keys_queries":
        q = q.softmax(-1)
    if mask is None:
        lambdas = einsum("bmku,bmvu->bkv", normalize_keys(k, key_norm), v)[:, None]  # (b, 1, k, v)
    else:
        seen = (mask if mask.dim() == 3 else mask[None])[..., None, None]  # (b or 1, n, m, 1, 1)
        hidden = float("-inf") if key_norm.startswith("softmax") else 0.0
        keys = normalize_keys(k[:, None].masked_fill(~seen, hidden), key_norm, dim=2)
        keys = keys.masked_fill(~seen, 0.0)  # also clears the NaN of a query that sees nothing
        lambdas = einsum("bnmku,bmvu->bnkv", keys, v)
    if embeddings is not None:
        pairs = embeddings[None] if mask is None else embeddings * seen
        lambdas = lambdas + einsum("bnmku,bmvu->bnkv", pairs.expand(len(v), -1, -1, -1, -1), v)
    return einsum("bhnk,bnkv->bhnv", q, lambdas.expand(-1, q.shape[2], -1, -1))
