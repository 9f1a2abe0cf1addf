"""lambda_layer against sums written out in plain Python, and its causal shortcut against the definition."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lambda_core.functional import KEY_NORMS, causal_content_lambdas, lambda_layer, normalize_keys


def problem(b=2, h=3, n=4, m=5, k=2, v=3, u=2, seed=0):
    """Random q, k, v and embeddings in double precision."""
    torch.manual_seed(seed)
    shapes = (b, h, n, k), (b, m, k, u), (b, m, v, u), (n, m, k, u)
    return tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)


def by_hand(q, k, v, embeddings, mask, key_norm):
    """y[b][h][n][v], one multiplication at a time."""
    b, heads, n, depth = q.shape
    _, m, values, u = v.shape
    q, k, v = q.tolist(), k.tolist(), v.tolist()
    embeddings = None if embeddings is None else embeddings.tolist()
    y = torch.zeros(b, heads, n, values, dtype=torch.float64)
    for i in range(b):
        for query in range(n):
            seen = [c for c in range(m) if mask is None or bool((mask if mask.dim() == 2 else mask[i])[query, c])]
            for d in range(depth):
                for slice_ in range(u):
                    column = [k[i][c][d][slice_] for c in seen]
                    total = {
                        "softmax": sum(math.exp(x) for x in column),
                        "softmax_keys_queries": sum(math.exp(x) for x in column),
                        "l2": math.sqrt(sum(x * x for x in column)),
                        "none": 1.0,
                    }[key_norm]
                    for c, x in zip(seen, column, strict=True):
                        weight = (math.exp(x) if key_norm.startswith("softmax") else x) / total
                        if embeddings is not None:
                            weight += embeddings[query][c][d][slice_]
                        for head in range(heads):
                            row = q[i][head][query]
                            share = row[d]
                            if key_norm == "softmax_keys_queries":
                                share = math.exp(row[d]) / sum(math.exp(x) for x in row)
                            for e in range(values):
                                y[i, head, query, e] += share * weight * v[i][c][e][slice_]
    return y


def masks(b=2, n=4, m=5):
    """No mask, one for all, one an item; query 1 sees nothing."""
    torch.manual_seed(1)
    shared, own = torch.rand(n, m) < 0.6, torch.rand(b, n, m) < 0.6
    shared[1], own[:, 1] = False, False
    return {"none": None, "shared": shared, "own": own}


@pytest.mark.parametrize("key_norm", KEY_NORMS)
@pytest.mark.parametrize("mask", ["none", "shared", "own"])
@pytest.mark.parametrize("content_only", [False, True])
def test_against_plain_python(key_norm, mask, content_only):
    q, k, v, embeddings = problem()
    embeddings, mask = None if content_only else embeddings, masks()[mask]
    y = lambda_layer(q, k, v, embeddings, mask=mask, key_norm=key_norm)
    torch.testing.assert_close(y, by_hand(q, k, v, embeddings, mask, key_norm), rtol=0, atol=1e-12)
    if mask is not None:
        assert torch.equal(y[:, :, 1], torch.zeros_like(y[:, :, 1]))


@pytest.mark.parametrize("shape", [(1, 5), (4, 1), (2, 1, 5), (1, 4, 5), (2, 4, 1), (1, 1, 1)])
def test_a_mask_may_be_the_same_for_all(shape):
    q, k, v, embeddings = problem()
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5
    whole = mask.expand(2, 4, 5)
    expected = by_hand(q, k, v, embeddings, whole, "softmax")
    torch.testing.assert_close(lambda_layer(q, k, v, embeddings, mask=mask), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("key_norm", KEY_NORMS)
def test_a_full_mask_changes_nothing(key_norm):
    q, k, v, embeddings = problem()
    full = lambda_layer(q, k, v, embeddings, mask=torch.ones(4, 5, dtype=torch.bool), key_norm=key_norm)
    torch.testing.assert_close(full, lambda_layer(q, k, v, embeddings, key_norm=key_norm))


@pytest.mark.parametrize("key_norm", KEY_NORMS)
def test_gradients_stay_finite_where_a_query_sees_nothing(key_norm):
    tensors = [t.requires_grad_() for t in problem()]
    y = lambda_layer(*tensors, mask=masks()["shared"], key_norm=key_norm)
    assert all(g.isfinite().all() for g in torch.autograd.grad(y.square().sum(), tensors))


def test_linear_in_the_values():
    q, k, v, embeddings = problem()
    other = torch.randn_like(v)
    both = lambda_layer(q, k, 2 * v + other, embeddings)
    apart = 2 * lambda_layer(q, k, v, embeddings) + lambda_layer(q, k, other, embeddings)
    torch.testing.assert_close(both, apart)


@pytest.mark.parametrize("key_norm", KEY_NORMS)
@settings(max_examples=12, deadline=None)
@given(b=st.integers(1, 2), n=st.integers(1, 9), u=st.integers(1, 2), chunk=st.integers(1, 5), seed=st.integers(0, 99))
def test_causal_lambdas_are_those_of_a_triangular_mask(key_norm, b, n, u, chunk, seed):
    _, k, v, _ = problem(b=b, m=n, u=u, seed=seed)
    unit = torch.eye(2, dtype=torch.float64).expand(b, n, 2, 2).transpose(1, 2)  # head d asks for row d of the lambda
    mask = torch.ones(n, n, dtype=torch.bool).tril()
    expected = lambda_layer(unit, k, v, mask=mask, key_norm=key_norm.removesuffix("_keys_queries"))
    found = causal_content_lambdas(k, v, key_norm, chunk)  # (b, n, k, v)
    torch.testing.assert_close(found.transpose(1, 2), expected, rtol=0, atol=1e-12)


def test_the_gradient_of_a_causal_sequence_is_gathered_once():
    """A slice of the sequence would have a gradient as long as all of it, so time would grow like n²."""
    k, v = (torch.randn(1, 256, depth, 1, requires_grad=True) for depth in (2, 3))
    waiting, seen = [causal_content_lambdas(k, v, chunk=32).grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [after for after, _ in node.next_functions]
    long = [node for node in seen if node.name() == "SliceBackward0" and node._saved_self_sym_sizes[1] > 32]
    assert not long and sum(node.name() == "SplitBackward0" for node in seen) == 2


def test_causal_lambdas_survive_keys_far_apart():
    k = torch.linspace(-400.0, 400.0, 70)[None, :, None, None].requires_grad_()
    for keys in (k, k.flip(1)):
        lambdas = causal_content_lambdas(keys, torch.randn(1, 70, 3, 1))
        assert lambdas.isfinite().all()
        assert torch.autograd.grad(lambdas.sum(), k)[0].isfinite().all()


@pytest.mark.parametrize("key_norm", KEY_NORMS)
def test_causal_gradients(key_norm):
    _, k, v, _ = problem(b=1, m=5, v=2)
    k, v = k.requires_grad_(), v.requires_grad_()
    assert torch.autograd.gradcheck(lambda k, v: causal_content_lambdas(k, v, key_norm, 2), (k, v))
    assert torch.autograd.gradgradcheck(lambda k, v: causal_content_lambdas(k, v, key_norm, 2)[:, 2:4], (k, v))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("key_norm", KEY_NORMS)
def test_keys_of_half_precision_stay_finite(dtype, key_norm):
    keys = normalize_keys(torch.full((1, 4096, 1, 1), 60.0, dtype=dtype), key_norm)
    assert keys.dtype == dtype
    assert keys.isfinite().all()


@pytest.mark.parametrize("mask", [None, torch.ones(1, 2048, dtype=torch.bool)], ids=["all", "masked"])
def test_sums_beyond_the_range_of_float16(mask):
    """λp is 2048 · 200 · 10 = 4e6, where float16 ends at 65504; y = q λ is not."""
    shapes = {0.001: (1, 1, 1, 1), 0.0: (1, 2048, 1, 1), 200.0: (1, 2048, 1, 1), 10.0: (1, 2048, 1, 1)}
    tensors = [torch.full(shape, value) for value, shape in shapes.items()]
    expected = torch.tensor(4096.2)  # 0.001 (200 + 4_096_000)
    y = lambda_layer(*(t.half() for t in tensors), mask=mask)
    assert y.dtype == torch.float16
    torch.testing.assert_close(y.float().squeeze(), expected, rtol=1e-3, atol=0)
    with torch.autocast("cpu", torch.float16):
        y = lambda_layer(*tensors, mask=mask)
    torch.testing.assert_close(y.squeeze(), expected, rtol=1e-5, atol=0)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("key_norm", KEY_NORMS)
def test_nothing_is_nan_on_the_way_where_a_query_sees_nothing(key_norm):
    """A search for a NaN elsewhere, with PyTorch's anomaly detection, is not led here."""
    tensors = [t.requires_grad_() for t in problem()]
    with torch.autograd.detect_anomaly():
        lambda_layer(*tensors, mask=masks()["own"], key_norm=key_norm).sum().backward()


def test_errors_name_what_is_wrong():
    q, k, v, embeddings = problem()
    with pytest.raises(ValueError, match=r"q \(b, h, n, k\), k \(b, m, k, u\) and v"):
        lambda_layer(q, k[..., :1, :], v)
    with pytest.raises(ValueError, match="takes q"):
        lambda_layer(q[0], k, v)
    with pytest.raises(ValueError, match=r"embeddings must be \(n, m, k, u\) = \(4, 5, 2, 2\)"):
        lambda_layer(q, k, v, embeddings[:, :3])
    with pytest.raises(ValueError, match=r"mask must be a bool tensor \(n, m\) = \(4, 5\)"):
        lambda_layer(q, k, v, mask=torch.ones(4, 5))
    with pytest.raises(ValueError, match=r"mask must be .* not torch.bool \(5, 4\)"):
        lambda_layer(q, k, v, mask=torch.ones(5, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="key_norm must be one of softmax, softmax_keys_queries, l2, none, not 'l1'"):
        lambda_layer(q, k, v, key_norm="l1")
