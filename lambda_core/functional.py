"""The lambda layer in its general form: any number of queries, any context, any embeddings, any mask.

Letters, here and everywhere: b batch, h heads, k depth of queries and keys, v depth of values, u intra-depth,
n query positions, m context positions.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, einsum
from torch.autograd import forward_ad
from torch.nn import functional as F

CHUNK = 32  # positions of a causal context that are worked off together
KEY_NORMS = ("softmax", "softmax_keys_queries", "l2", "none")


def check_key_norm(key_norm: str) -> None:
    """ValueError with the choices, unless it is one of KEY_NORMS."""
    if key_norm not in KEY_NORMS:
        raise ValueError(f"key_norm must be one of {', '.join(KEY_NORMS)}, not {key_norm!r}")


def wide(x: Tensor) -> Tensor:
    """In float32 at least: a sum over hundreds of positions overflows in float16 and is coarse in bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(device: str) -> AbstractContextManager[None]:
    """Autocast off, on devices that have it (the meta device has not)."""
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


def transformed() -> bool:
    """Whether torch.func (grad, vmap, jvp, ...) or forward-mode AD is looking on, which take no operator of our own."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def normalize_keys(k: Tensor, key_norm: str = "softmax", dim: int = 1) -> Tensor:
    """Keys as weights over the context, which lies along `dim`: the paper's K̄ (Bello 2021, section 3).

    softmax, softmax_keys_queries: exp(K) / sum over m of exp(K).  l2: K / ||K||, over m.  none: K.
    Shape and type stay; the sum runs in float32 at least. Raises ValueError for another name.
    """
    check_key_norm(key_norm)
    if key_norm == "none":
        return k
    return (F.normalize(wide(k), dim=dim) if key_norm == "l2" else wide(k).softmax(dim)).to(k.dtype)


def _over_pairs(mask: Tensor) -> Tensor:
    """(n, m) or (b, n, m) -> (b or 1, n, m, 1, 1)"""
    return (mask if mask.dim() == 3 else mask[None])[..., None, None]


def normalize_seen_keys(k: Tensor, seen: Tensor, key_norm: str = "softmax") -> Tensor:
    """Keys normalised over what each query sees, zero elsewhere; a query that sees nothing has zeros.

    k (b, m, k, u), seen (n, m) or (b, n, m), True where query n sees context m -> (b, n, m, k, u)
    """
    hidden = ~_over_pairs(seen)
    return normalize_keys(hide_keys(k[:, None], hidden, key_norm), key_norm, dim=2).masked_fill(hidden, 0.0)


def hide_keys(k: Tensor, hidden: Tensor, key_norm: str = "softmax") -> Tensor:
    """Keys that count for nothing where `hidden`, which fits their shape, is True, once they are normalised."""
    # the least number, not -inf: a softmax over nothing but -inf is NaN
    return k.masked_fill(hidden, torch.finfo(k.dtype).min if key_norm.startswith("softmax") else 0.0)


def causal_content_lambdas(k: Tensor, v: Tensor, key_norm: str = "softmax", chunk: int = CHUNK) -> Tensor:
    """λc_n over the context m <= n, keys normalised over it.  (b, m, k, u), (b, m, v, u) -> (b, n, k, v)

    Softmax: λc_n = sum over m <= n of exp(K_m - L_n) V_m, with L_n = log of the sum over m <= n of exp(K_m). It goes
    chunk by chunk: pairs within a chunk, and what came before as one more pair, with L_before for a key and the λ up to
    there for a value. No exponent is above zero, so nothing overflows, and time and memory grow with n, not with n m.
    """
    check_key_norm(key_norm)
    if not key_norm.startswith("softmax"):
        lambdas = einsum("bmku,bmvu->bmkvu", k, v).cumsum(1)
        if key_norm == "l2":  # clamped as F.normalize does
            lambdas = lambdas / k.square().cumsum(1).clamp_min(1e-24).sqrt()[:, :, :, None]
        return lambdas.sum(-1)
    parts: list[Tensor] = []
    last = torch.empty(0)  # λc_n of the last n so far, u slices apart: (b, 1, k, v, u)
    before = torch.empty(0)  # L of that n: (b, 1, 1, k, u); logcumsumexp has second derivatives that are NaN
    # split, not sliced: the gradient of each slice would be as long as the whole sequence
    for keys, values in zip(k.split(chunk, 1), v.split(chunk, 1), strict=True):
        length = keys.shape[1]
        future = keys.new_ones((length, length), dtype=torch.bool).triu(1)[:, :, None, None]
        pairs = keys[:, None].masked_fill(future, float("-inf"))  # (b, n, m, k, u)
        if parts:
            pairs = torch.cat([before.expand(-1, length, -1, -1, -1), pairs], 2)
        weights = pairs.softmax(2)
        lambdas = einsum("bnmku,bmvu->bnkvu", weights[:, :, -length:], values)
        if parts:
            lambdas = lambdas + weights[:, :, 0, :, None] * last
        last, before = lambdas[:, -1:], pairs[:, -1:].logsumexp(2, keepdim=True)
        parts.append(lambdas.sum(-1))
    return torch.cat(parts, 1)


def _check_shapes(q: Tensor, k: Tensor, v: Tensor, embeddings: Tensor | None, mask: Tensor | None) -> None:
    if not q.dim() == k.dim() == v.dim() == 4 or not (
        k.shape == (q.shape[0], k.shape[1], q.shape[3], k.shape[3])
        and v.shape == (*k.shape[:2], v.shape[2], k.shape[3])
    ):
        raise ValueError(
            "lambda_layer takes q (b, h, n, k), k (b, m, k, u) and v (b, m, v, u), "
            f"not q {tuple(q.shape)}, k {tuple(k.shape)} and v {tuple(v.shape)}"
        )
    b, _, n, depth = q.shape
    _, m, _, u = k.shape
    if embeddings is not None and embeddings.shape != (n, m, depth, u):
        raise ValueError(f"embeddings must be (n, m, k, u) = {(n, m, depth, u)}, not {tuple(embeddings.shape)}")
    if mask is not None and (mask.dtype != torch.bool or not _reaches(mask.shape, (n, m), (b, n, m))):
        raise ValueError(
            f"mask must be a bool tensor (n, m) = {(n, m)} or (b, n, m) = {(b, n, m)}, with 1 for what is the same "
            f"for all, not {mask.dtype} {tuple(mask.shape)}"
        )


def _reaches(shape: tuple[int, ...], *wanted: tuple[int, ...]) -> bool:
    """Whether it is one of the shapes that are wanted, but for axes of length 1."""
    fitting = [each for each in wanted if len(each) == len(shape)]
    return any(all(a in (1, b) for a, b in zip(shape, each, strict=True)) for each in fitting)


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
    mask (n, m) or (b, n, m), any of them 1 where it is the same for all, True where query n may see context m: the
    keys are normalised over what is seen, so λc then depends on n, and a query that sees nothing gives zero.
    `key_norm`: see `normalize_keys`; with softmax_keys_queries the queries too are normalised, over k.

    This is the definition (Bello 2021, section 3), written for clarity: with a mask it stores (b, n, m, k, u) numbers.
    It runs in float32 at least, also under autocast; y has the type of q. Raises ValueError where shapes do not fit.
    """
    _check_shapes(q, k, v, embeddings, mask)
    dtype = q.dtype
    with without_autocast(q.device.type):
        q, k, v = wide(q), wide(k), wide(v)
        if key_norm == "softmax_keys_queries":
            q = q.softmax(-1)
        if mask is not None:
            mask = mask.expand(*mask.shape[:-2], q.shape[2], k.shape[1])
        if mask is None:
            lambdas = einsum("bmku,bmvu->bkv", normalize_keys(k, key_norm), v)[:, None]  # one for all queries
        else:
            lambdas = einsum("bnmku,bmvu->bnkv", normalize_seen_keys(k, mask, key_norm), v)
        if embeddings is not None:
            pairs = wide(embeddings)[None]
            pairs = pairs if mask is None else pairs * _over_pairs(mask)  # (b or 1, n, m, k, u)
            lambdas = lambdas + einsum("bnmku,bmvu->bnkv", pairs, v)
        return einsum("bhnk,bnkv->bhnv", q, lambdas).to(dtype)
