"""Attention first: S = q · E gives every pair its weight, then S · V. The position lambdas are never stored.

λc counts as k more places in the context, whose weights are the queries themselves: E is the identity there.

h (k + v) multiply-adds a pair in place of k v: fewer wherever h < k v / (k + v). In exchange every pair of positions
has a weight for each head, for some examples at a time; the backward pass computes the weights again.
Under bfloat16 the weights are bfloat16 too, as in any attention; sums over positions run in float32 within a product.
"""

import torch
from torch import Tensor, einsum

from lambda_core import positions
from lambda_core.engines.matmul import products
from lambda_core.engines.operator import CACHE, empty_output, operator, room
from lambda_core.functional import wide

PLACES = 64  # query positions whose weights are put in order together


def position_weights(q: Tensor, table: Tensor, size: positions.Size) -> Tensor:
    """The implied attention of the position part, q_n · E_nm.  (b, h, n, k), (k, u, R, C) -> (b, h, n, m, u)"""
    return einsum("bhnk,kunm->bhnmu", q, positions.gather(table, size))


def _pairs(table: Tensor, size: positions.Size) -> Tensor:
    """One embedding a pair, the context in reverse order, then those of λc: (k, u, R, C) -> (n, k, u m + k)"""
    k, u = table.shape[:2]
    n = size[0] * size[1]
    pairs = table.new_empty(n, k, u * n + k)
    pairs[..., : u * n].view(*size, k, u, *size).copy_(positions.windows(table, size).permute(2, 3, 0, 1, 4, 5))
    pairs[..., u * n :] = torch.eye(k, dtype=table.dtype, device=table.device)
    return pairs


def _pairs_adjoint(pairs: Tensor, like: Tensor, size: positions.Size) -> Tensor:
    """The gradient of the table for that of `_pairs`: first along the rows of the map, then down its columns."""
    (k, u), (height, width) = like.shape[:2], size
    grid = pairs[..., :-k].view(height, width, k, u, height, width)
    rows = pairs.new_zeros(height, k, u, height, 2 * width - 1)
    for x in range(width):
        rows[..., x : x + width] += grid[:, x]
    full = pairs.new_zeros(k, u, 2 * height - 1, 2 * width - 1)
    for y in range(height):
        full[:, :, y : y + height] += rows[y]
    result = torch.zeros_like(like)
    inside = positions.crop(result, size)
    inside.copy_(positions.crop(full.flip(-2, -1), (inside.shape[-2] // 2 + 1, inside.shape[-1] // 2 + 1)))
    return result


def _context(v: Tensor, content: Tensor) -> Tensor:
    """(b, m, v, u), (b, k, v) -> (b, u m + k, v), the values in reverse order"""
    return torch.cat([v.flip(1).permute(0, 3, 1, 2).flatten(1, 2), content], 1)


def _rows(q: Tensor) -> Tensor:
    """(b, h, n, k) -> (n, b h, k)"""
    return q.permute(2, 0, 1, 3).flatten(1, 2)


def _weights(rows: Tensor, pairs: Tensor) -> Tensor:
    """(n, b h, k), (n, k, u m + k) -> (b h, n, u m + k)"""
    weights = rows.new_empty(rows.shape[1], rows.shape[0], pairs.shape[2])
    for part, embeddings, place in zip(rows.split(PLACES), pairs.split(PLACES), weights.split(PLACES, 1), strict=True):
        place.copy_(torch.bmm(part, embeddings).transpose(0, 1))  # as its `out`, it would be filled one n at a time
    return weights


def _together(q: Tensor, pairs: Tensor) -> int:
    """Examples that are worked off together."""
    most = max(1, room(q) // (q.shape[1] * q.shape[2] * pairs.shape[2]))
    return -(-len(q) // -(-len(q) // most))  # pieces about as large


def output(q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size) -> Tensor:
    """y_n = (λc + λp_n)ᵀ q_n.  (b, h, n, k), (b, m, v, u), (k, u, R, C), (b, k, v) -> (b, h, n, v)"""
    y, pairs, h = empty_output(q, v), _pairs(table, size), q.shape[1]
    for part_q, part_v, part_content, part_y in zip(
        *(x.split(_together(q, pairs)) for x in (q, v, content, y)), strict=True
    ):
        weights = _weights(_rows(part_q), pairs).unflatten(0, (-1, h)).flatten(1, 2)  # (b, h n, u m + k)
        products(weights, _context(part_v, part_content), out=part_y)
    return y


def gradients(
    dy: Tensor, q: Tensor, v: Tensor, table: Tensor, content: Tensor, size: positions.Size
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of q, v, the table and λc for dy (b, h, n, v)."""
    dq, dv, pairs = torch.empty_like(q), torch.empty_like(v), _pairs(table, size)
    dpairs, dcontent = torch.zeros_like(pairs, dtype=wide(pairs).dtype), torch.empty_like(content)
    for part_dy, part_q, part_v, part_content, part_dq, part_dv, part_dcontent in zip(
        *(x.split(_together(q, pairs)) for x in (dy, q, v, content, dq, dv, dcontent)), strict=True
    ):
        b, h, n, k = part_q.shape
        rows, context, heads = _rows(part_q), _context(part_v, part_content), part_dy.reshape(b, h * n, -1)
        weights = _weights(rows, pairs).view(b, h * n, -1)
        dcontext = torch.bmm(heads.mT, weights).mT  # oneDNN would reorder the weights first
        products(heads, context.mT, out=weights)  # from here on the gradient of the weights
        dweights = weights.view(b * h, n, -1).transpose(0, 1)
        part_dq.copy_(torch.bmm(dweights, pairs.transpose(1, 2)).view(n, b, h, k).permute(1, 2, 0, 3))
        if dpairs.dtype == dweights.dtype:
            dpairs.baddbmm_(rows.transpose(1, 2), dweights)
        else:  # a sum over examples, whose parts are summed in float32 too
            dpairs += torch.bmm(rows.transpose(1, 2), dweights)
        part_dv.copy_(dcontext[:, :-k].unflatten(1, (v.shape[3], -1)).flip(2).permute(0, 2, 3, 1))
        part_dcontent.copy_(dcontext[:, -k:])
        del weights, dweights  # or the next ones come on top
    return dq, dv, _pairs_adjoint(dpairs, table, size), dcontent


engine = operator("attention", output, gradients, narrow=True)


def cost(q: tuple[int, ...], v: tuple[int, ...], table: tuple[int, ...], size: positions.Size) -> tuple[int, int]:
    """Multiply-adds, and numbers stored: the gathered embeddings and the weights of some examples, and gradients."""
    b, h, n, k = q
    _, m, values, u = v
    pairs = n * m * u
    return b * h * pairs * (k + values), 2 * pairs * (k + h * min(b, max(1, CACHE // (h * pairs))))
