"""The Triton kernels of the engine "fused": the position lambdas of a few pixels, used where they come into being.

A program takes P neighbouring queries of one map row, all k, for BN columns (b, v). Their lambdas are one sum over the
entries (row of the table, column of the context) of weights x values, in registers: the weights E[k, row, column - p]
are the same for every row of the map, so they lie in a small matrix (entries, P k). The loop leaves out the rows of the
table that leave the map. λc is one product more, with the unit matrix, so it needs no layout of its own.

The output sums over k and the gradient of q over v. In the layout of the accumulators of a tensor core, the columns
0, 3, 4, ... (by bits) of a row are held by one thread, and a sum over them moves no data. Therefore `output` has the
lambdas as (b v, P k) with the bits of k there, and `gradients` as (P k, b v).
"""

# mypy: ignore-errors
# Triton reads these functions, and knows no annotations but its own.

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(bool(triton.knobs.runtime.interpret))


def reach_gpu():
    """Have Triton build what it reaches the GPU with; raises what building it raises."""
    _ = triton.runtime.driver.active.utils


@triton.jit
def _product(weights, values, onto, PRECISION: tl.constexpr, BY_COLUMN: tl.constexpr):
    """onto + valuesᵀ weights with BY_COLUMN, else onto + weightsᵀ values."""
    if INTERPRETED:  # whose product takes the bits of bfloat16 for integers
        weights, values = weights.to(tl.float32), values.to(tl.float32)
    if BY_COLUMN:
        return tl.dot(tl.trans(values), weights, onto, input_precision=PRECISION)
    else:
        return tl.dot(tl.trans(weights), values, onto, input_precision=PRECISION)


@triton.jit
def _where(program, count, W: tl.constexpr, P: tl.constexpr, BN: tl.constexpr):
    """Map row and tile of the queries of a program, and its first (b, v)."""
    blocks = (count + BN - 1) // BN
    tiles = (W + P - 1) // P
    here = program // blocks
    return here // tiles, here % tiles, (program % blocks) * BN


@triton.jit
def _lambdas(
    values,  # (H, W, b v)
    weights,  # (tiles or 1, R KW, P k)
    content,  # (k, b v)
    keys,  # which k each of the P k is
    y,
    tile,
    columns,
    count,  # of all columns (b, v)
    H,
    R,
    REACH: tl.constexpr,  # columns from a query to the end of its scope, or -1: the whole row is in the window
    W: tl.constexpr,
    KW: tl.constexpr,
    K: tl.constexpr,
    P: tl.constexpr,
    BN: tl.constexpr,
    KC: tl.constexpr,
    PRECISION: tl.constexpr,
    BY_COLUMN: tl.constexpr,
):
    """λc + λp, in float32: (BN, P k) with BY_COLUMN, else (P k, BN)."""
    there = (columns < count)[None, :]
    depth = tl.arange(0, K)
    lambdas = tl.load(content + depth[:, None] * count + columns[None, :], mask=there, other=0.0)
    unit = (depth[:, None] == keys[None, :]).to(tl.float32).to(lambdas.dtype)  # at once, the interpreter errs
    found = tl.zeros((BN, P * K) if BY_COLUMN else (P * K, BN), tl.float32)
    found = _product(unit, lambdas, found, PRECISION, BY_COLUMN)

    first = tl.maximum(0, R // 2 - y)
    length = (tl.minimum(R, H - y + R // 2) - first) * KW
    top = y + first - R // 2
    weights += first * (KW * P * K)
    left = 0
    if REACH >= 0:
        left = tile * P - REACH
    else:
        weights += tile * (R * KW * P * K)
    inner = tl.arange(0, KC)
    outer = tl.arange(0, P * K)
    for start in range(0, length, KC):
        entry = start + inner
        row = top + entry // KW
        column = left + entry % KW
        known = entry < length
        seen = known & (column >= 0) & (column < W)
        a = tl.load(weights + (entry * (P * K))[:, None] + outer[None, :], mask=known[:, None], other=0.0)
        x = values + ((row * W + column) * count)[:, None] + columns[None, :]
        found = _product(a, tl.load(x, mask=seen[:, None] & there, other=0.0), found, PRECISION, BY_COLUMN)
    return found


@triton.jit
def output(
    q,
    values,
    weights,
    content,
    out,  # y (b, h, n, v)
    count,
    H,
    R,
    q_b,
    q_h,
    q_n,
    q_k,
    out_b,
    out_h,
    out_n,
    out_v,
    REACH: tl.constexpr,
    W: tl.constexpr,
    KW: tl.constexpr,
    K: tl.constexpr,
    V: tl.constexpr,
    P: tl.constexpr,
    BN: tl.constexpr,
    KC: tl.constexpr,
    HEADS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """y = (λc + λp)ᵀ q"""
    B: tl.constexpr = BN // V
    PL: tl.constexpr = P if P < 4 else 4  # the pixels in bits 1 and 2, the others behind k
    PH: tl.constexpr = P // PL
    KH: tl.constexpr = K // 2
    y, tile, start = _where(tl.program_id(0), count, W, P, BN)
    place = tl.arange(0, P * K)
    keys = place // (2 * PL) % KH * 2 + place % 2
    columns = start + tl.arange(0, BN)
    b = start // V + tl.arange(0, B)
    x = tile * P + tl.arange(0, P)
    k = tl.arange(0, K)
    v = tl.arange(0, V)
    inside = (b < count // V)[:, None, None] & (x < W)[None, :, None]
    n = y * W + x
    q += (b * q_b)[:, None, None] + (n * q_n)[None, :, None] + (k * q_k)[None, None, :]
    # Loaded before the products, so that the compiler lets the sums keep the layout of the products and not of q.
    queries = ()
    for head in tl.static_range(HEADS):
        queries = queries + (tl.load(q + head * q_h, mask=inside, other=0.0),)  # noqa: RUF005

    found = _lambdas(
        values, weights, content, keys, y, tile, columns, count, H, R, REACH, W, KW, K, P, BN, KC, PRECISION, True
    )

    out += (b * out_b)[:, None, None] + (n * out_n)[None, :, None] + (v * out_v)[None, None, :]
    for head in tl.static_range(HEADS):
        own = queries[head].reshape(B, PH, PL, KH, 2).permute(0, 1, 3, 2, 4).reshape(B, 1, P * K).to(tl.float32)
        summed = found * tl.broadcast_to(own, (B, V, P * K)).reshape(BN, P * K)
        summed = tl.sum(tl.sum(summed.reshape(BN, PH, KH, PL, 2), 4), 2)
        summed = summed.reshape(B, V, P).permute(0, 2, 1)
        tl.store(out + head * out_h, summed.to(out.dtype.element_ty), mask=inside)


@triton.jit
def gradients(
    dy,
    q,
    values,
    weights,
    content,
    dq,
    dlambdas,  # (rows W, k, b v), from row `first` of the map on
    first,
    count,
    H,
    R,
    dy_b,
    dy_h,
    dy_n,
    dy_v,
    q_b,
    q_h,
    q_n,
    q_k,
    dq_b,
    dq_h,
    dq_n,
    dq_k,
    REACH: tl.constexpr,
    W: tl.constexpr,
    KW: tl.constexpr,
    K: tl.constexpr,
    V: tl.constexpr,
    P: tl.constexpr,
    BN: tl.constexpr,
    KC: tl.constexpr,
    HEADS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """dq = (λc + λp) dy, with λ computed again, and dλ = sum over h of q dyᵀ."""
    B: tl.constexpr = BN // V
    here, tile, start = _where(tl.program_id(0), count, W, P, BN)
    y = first + here
    place = tl.arange(0, P * K)
    columns = start + tl.arange(0, BN)
    b = start // V + tl.arange(0, B)
    x = tile * P + tl.arange(0, P)
    n = y * W + x
    inside = (x < W)[:, None] & (columns < count)[None, :]
    dy += (n * dy_n)[:, None] + (columns // V * dy_b + columns % V * dy_v)[None, :]
    all_x = tile * P + place // K
    all_n = y * W + all_x
    all_inside = (all_x < W)[:, None] & (b < count // V)[None, :]
    q += (all_n * q_n + place % K * q_k)[:, None] + (b * q_b)[None, :]
    dq += (all_n * dq_n + place % K * dq_k)[:, None] + (b * dq_b)[None, :]
    queries = ()
    slopes = ()
    for head in tl.static_range(HEADS):
        queries = queries + (tl.load(q + head * q_h, mask=all_inside, other=0.0),)  # noqa: RUF005
        slopes = slopes + (tl.load(dy + head * dy_h, mask=inside, other=0.0),)  # noqa: RUF005

    found = _lambdas(
        values, weights, content, place % K, y, tile, columns, count, H, R, REACH, W, KW, K, P, BN, KC, PRECISION, False
    )

    total = tl.zeros((P * K, BN), tl.float32)
    for head in tl.static_range(HEADS):
        slope = tl.broadcast_to(slopes[head].to(tl.float32).reshape(P, 1, BN), (P, K, BN)).reshape(P * K, BN)
        summed = tl.sum((found * slope).reshape(P * K, B, V), 2)
        tl.store(dq + head * dq_h, summed.to(dq.dtype.element_ty), mask=all_inside)
        query = queries[head].to(tl.float32).reshape(P * K, B, 1)
        total += tl.broadcast_to(query, (P * K, B, V)).reshape(P * K, BN) * slope
    dlambdas += (here * W + tile * P).to(tl.int64) * K * count + (place * count)[:, None] + columns[None, :]
    tl.store(dlambdas, total.to(dlambdas.dtype.element_ty), mask=(all_x < W)[:, None] & (columns < count)[None, :])
