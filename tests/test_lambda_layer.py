"""LambdaLayer and LambdaLayer1d against the definition, against timm and lucidrains, and against what theory says."""

import copy

import pytest
import torch

from lambda_core import positions
from lambda_core.engines import ENGINES, attention
from lambda_core.functional import KEY_NORMS, lambda_layer
from lambda_core.layers import LambdaLayer, LambdaLayer1d
from lambda_core.tracing import trace
from tests.definition import by_definition, identity
from tests.peers import lucidrains_layer, randomize, timm_layer


@pytest.mark.parametrize("size", [(5, 5), (3, 6), (1, 4), (7, 2)])
@pytest.mark.parametrize(
    "options",
    [
        {"scope": 3},
        {"scope": 5, "dim_u": 2, "position_bias": True},
        {"scope": 23, "heads": 1, "dim_out": 5},
        {"scope": None, "size": (7, 6), "dim_u": 3},
        {"scope": None, "size": (7, 6), "norm_qv": False, "dim_k": 1},
        {"scope": 3, "content": False},
        {"position": False},
        *({"scope": 3, "key_norm": key_norm, "dim_u": 2} for key_norm in KEY_NORMS),
    ],
    ids=str,
)
def test_against_the_definition(size, options):
    layer = randomize(LambdaLayer(6, **{"dim_k": 3, "heads": 2, **options}))
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    torch.testing.assert_close(layer(x), by_definition(layer, x, size, identity), rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 3)])
def test_stride_averages_what_is_there(size):
    layer = randomize(LambdaLayer(4, dim_k=2, heads=2, scope=3, stride=2))
    x = torch.randn(2, 4, *size, dtype=torch.float64)

    def pool(y):
        rows, columns = -(-size[0] // 2), -(-size[1] // 2)
        cells = [
            y[..., 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean((-2, -1)) for i in range(rows) for j in range(columns)
        ]
        return torch.stack(cells, -1).unflatten(-1, (rows, columns))

    torch.testing.assert_close(layer(x), by_definition(layer, x, size, pool), rtol=0, atol=1e-10)


TIMM = [
    {"r": 9},
    {"r": 3, "num_heads": 2, "dim_head": 5},
    {"r": 5, "dim_head": None, "qk_ratio": 0.5, "stride": 2},
    {"r": None, "feat_size": (6, 8)},
    {"r": None, "feat_size": (6, 8), "stride": 2, "dim_head": 4},
]


@pytest.mark.parametrize("options", TIMM, ids=str)
def test_parity_with_timm(options):
    theirs, weights = timm_layer(16, **options)
    scope, size = options["r"], options.get("feat_size")
    ours = LambdaLayer(
        16,
        dim_k=theirs.dim_qk,
        heads=theirs.num_heads,
        scope=scope,
        size=size,
        position_bias=scope is not None,
        stride=options.get("stride", 1),
    )
    ours.double().eval().load_state_dict(weights)
    x = torch.randn(2, 16, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("position", [{"r": 3}, {"r": 7}, {"n": 6}], ids=str)
@pytest.mark.parametrize("options", [{}, {"dim_u": 3, "heads": 2}, {"dim_out": 20, "dim_u": 2}], ids=str)
def test_parity_with_lucidrains(position, options):
    theirs, weights = lucidrains_layer(8, dim_k=5, **position, **options)
    side = position.get("n")
    ours = LambdaLayer(
        8,
        dim_k=5,
        scope=position.get("r"),
        size=(side, side) if side else None,
        position_bias="r" in position,
        **options,
    )
    ours.double().eval().load_state_dict(weights)
    x = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("layer_type", [LambdaLayer, LambdaLayer1d])
def test_engines_agree_in_training(layer_type):
    torch.manual_seed(0)
    reference = layer_type(
        6, dim_k=3, heads=2, dim_u=2, scope=5, position_bias=True, stride=2, engine="einsum"
    ).double()
    with torch.no_grad():
        reference.position_bias.normal_()
    x = torch.randn(2, 6, *(5, 3)[: reference.dims], dtype=torch.float64)

    def run(engine):
        layer = copy.deepcopy(reference)
        layer.engine = engine
        inputs = x.clone().requires_grad_()
        y = layer(inputs)
        return y, *torch.autograd.grad(y.square().sum(), (inputs, *layer.parameters()))

    for engine in ("auto", *ENGINES):
        for found, expected in zip(run(engine), run("einsum"), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_flipped_table_is_noticed():
    theirs, weights = timm_layer(16, r=3)
    ours = LambdaLayer(16, scope=3, position_bias=True).double().eval()
    ours.load_state_dict(weights | {"embeddings": weights["embeddings"].flip(-2, -1)})
    x = torch.randn(1, 16, 5, 5, dtype=torch.float64)
    assert not torch.allclose(ours(x), theirs(x), atol=1e-3)


def test_the_position_output_moves_with_the_input():
    layer = randomize(LambdaLayer(4, dim_k=3, heads=2, scope=3))
    x = torch.randn(1, 4, 8, 9, dtype=torch.float64)
    still, moved = (
        trace(layer, image)["position_output"].unflatten(2, (8, 9)) for image in (x, x.roll((1, 1), (2, 3)))
    )
    torch.testing.assert_close(moved[:, :, 2:-1, 2:-1], still[:, :, 1:-2, 1:-2], rtol=0, atol=1e-12)
    assert not torch.allclose(moved[:, :, 2:-1, 2:-1], still[:, :, 2:-1, 2:-1])


def test_the_content_lambda_knows_no_order():
    layer = randomize(LambdaLayer(4, dim_k=3, heads=2, scope=3, dim_u=2))
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    order = torch.randperm(30)
    shuffled = x.flatten(2)[..., order].unflatten(2, (5, 6))
    before, after = trace(layer, x), trace(layer, shuffled)
    torch.testing.assert_close(after["content_lambda"], before["content_lambda"])
    torch.testing.assert_close(after["content_output"], before["content_output"][:, :, order])
    assert not torch.allclose(after["position_output"], before["position_output"][:, :, order])


def test_implied_attention_gives_the_output():
    """y_n = sum over m of q_n · (K̄_m + E_nm) v_m, exactly: the map is linear in V."""
    layer = randomize(LambdaLayer(4, dim_k=3, heads=2, scope=5, dim_u=2))
    seen = trace(layer, torch.randn(2, 4, 4, 5, dtype=torch.float64))
    weights = torch.einsum("bhnk,bmku->bhnmu", seen["q"], seen["keys"])
    weights = weights + attention.position_weights(seen["q"], layer.embeddings, (4, 5))
    y = torch.einsum("bhnmu,bmvu->bhnv", weights, seen["v"])
    torch.testing.assert_close(y, seen["content_output"] + seen["position_output"])
    torch.testing.assert_close(y.transpose(2, 3).reshape(2, 4, 4, 5), seen["output"])


def test_halves_switch_off_and_on():
    layer = randomize(LambdaLayer(4, dim_k=3, heads=2, scope=3))
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    both = layer(x)
    layer.content = False
    position = layer(x)
    assert "content_output" not in trace(layer, x)
    layer.content, layer.position = True, False
    content = layer(x)
    torch.testing.assert_close(content + position, both)
    layer.content = False
    assert torch.equal(layer(x), torch.zeros_like(both))
    layer.content = layer.position = True
    assert torch.equal(layer(x), both)


def test_switched_off_halves_have_no_weights():
    assert not any(n.startswith("to_k") for n, _ in LambdaLayer(8, content=False).named_parameters())
    assert "embeddings" not in dict(LambdaLayer(8, position=False).named_parameters())
    assert set(LambdaLayer(8, norm_qv=False).state_dict()) == {
        "to_q.weight",
        "to_k.weight",
        "to_v.weight",
        "embeddings",
    }


def test_state_dict_names():
    assert set(LambdaLayer(8, position_bias=True).state_dict()) == {
        *(f"to_{x}.weight" for x in "qkv"),
        *(
            f"norm_{x}.{part}"
            for x in "qv"
            for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        ),
        "embeddings",
        "position_bias",
    }
    assert LambdaLayer(8, scope=5, dim_k=3, dim_u=2).embeddings.shape == (3, 2, 5, 5)


def test_position_bias_is_added_to_each_lambda():
    layer = randomize(LambdaLayer(4, dim_k=3, heads=2, scope=3, position_bias=True))
    seen = trace(layer, torch.randn(1, 4, 4, 4, dtype=torch.float64))
    y = torch.einsum("bhnk,bnkv->bhnv", seen["q"], seen["position_lambda"])
    torch.testing.assert_close(y, seen["position_output"])
    table = positions.gather(layer.embeddings, (4, 4))
    without = torch.einsum("kunm,bmvu->bnkv", table, seen["v"])
    torch.testing.assert_close(seen["position_lambda"] - without, layer.position_bias[:, None].expand_as(without))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("engine", ENGINES)
def test_mixed_precision(dtype, engine):
    """Sums over positions run in float32: no NaN, and close to float32."""
    torch.manual_seed(0)
    layer = LambdaLayer(16, scope=9, engine=engine)
    x = torch.randn(2, 16, 9, 9)
    exact = layer(x)
    with torch.autocast("cpu", dtype):
        y = layer(x)
        y.float().square().mean().backward()
    assert y.dtype == dtype
    assert (y - exact).norm() / exact.norm() < 0.02
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_position_sums_beyond_the_range_of_float16():
    """Inside, partial sums of 1e6 cancel to 0; float16 ends at 65504. At the edges the sum itself is out of range."""
    layer = LambdaLayer(4, dim_k=2, heads=2, scope=5, norm_qv=False, content=False).half()
    with torch.no_grad():
        layer.to_v.weight.fill_(100.0)
        layer.to_q.weight.fill_(0.01)
        layer.embeddings.fill_(300.0)
        layer.embeddings[..., :2] = -300.0
        layer.embeddings[..., 2] = 0.0
    for engine in ENGINES:
        layer.engine = engine
        y = layer(torch.ones(1, 4, 9, 9, dtype=torch.float16))
        assert y[..., 2:-2].abs().max() < 0.1  # 1e-7 of the partial sums


def test_memory_formats_and_the_meta_device():
    layer = LambdaLayer(8, dim_k=3, heads=2, scope=3).eval()
    x = torch.randn(2, 8, 5, 6)
    torch.testing.assert_close(layer(x.contiguous(memory_format=torch.channels_last)), layer(x))
    shape = copy.deepcopy(layer).to("meta")(x.to("meta")).shape
    assert shape == (2, 8, 5, 6)


GOOD = {"dim": 8, "heads": 2, "dim_k": 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim_out": 7}, r"^dim_out=7 cannot be split over heads=2: it must be a multiple of heads$"),
        ({"heads": 0}, r"^heads must be at least 1, not 0$"),
        ({"dim_k": 0}, r"^dim_k must be at least 1, not 0$"),
        ({"scope": 4}, r"^scope must be an odd positive integer, or None for global, not 4$"),
        ({"scope": None}, r"^a global scope \(scope=None\) needs size=\(H, W\)"),
        ({"key_norm": "l3"}, r"^key_norm must be one of softmax, softmax_keys_queries, l2, none, not 'l3'$"),
        (
            {"engine": "warp"},
            r"^engine must be auto or one of einsum, convolution, gemm, .*, not 'warp'$",
        ),
        ({"stride": 0}, r"^stride must be at least 1, not 0$"),
        ({"content": False, "position": False}, r"^a lambda layer needs content=True or position=True"),
        ({"position": False, "position_bias": True}, r"^position_bias=True has no meaning with position=False$"),
    ],
)
def test_errors_of_construction(options, message):
    with pytest.raises(ValueError, match=message):
        LambdaLayer(**{**GOOD, **options})


def test_errors_of_input():
    layer = LambdaLayer(8, heads=2, scope=None, size=(4, 5))
    with pytest.raises(ValueError, match=r"made for inputs up to size=\(4, 5\), not \(5, 4\)$"):
        layer(torch.randn(1, 8, 5, 4))
    assert layer(torch.randn(1, 8, 4, 3)).shape == (1, 8, 4, 3)
    with pytest.raises(ValueError, match=r"^LambdaLayer takes \(b, 8, H, W\), not \(1, 7, 4, 4\)$"):
        layer(torch.randn(1, 7, 4, 4))
    with pytest.raises(ValueError, match=r"^LambdaLayer takes \(b, 8, H, W\), not \(8, 4, 4\)$"):
        layer(torch.randn(8, 4, 4))
    with pytest.raises(ValueError, match=r"^LambdaLayer1d takes \(b, 8, n\), not \(1, 8, 4, 4\)$"):
        LambdaLayer1d(8)(torch.randn(1, 8, 4, 4))
    with pytest.raises(ValueError, match=r"needs size=n, the longest sequence that the layer will see"):
        LambdaLayer1d(8, scope=None)
    with pytest.raises(ValueError, match=r"made for inputs up to size=\(4,\), not \(5,\)$"):
        LambdaLayer1d(8, scope=None, size=4)(torch.randn(1, 8, 5))


def test_it_says_which_engine_and_why():
    sentence = LambdaLayer(256).explain_engine(8, (14, 14))
    assert sentence.startswith("attention: the shortest estimated time on cpu for a 14 x 14 map")
    with pytest.raises(ValueError, match=r"size must be \(H, W\)"):
        LambdaLayer(256).explain_engine(8, 14)
    line = LambdaLayer1d(64)
    assert line.explain_engine(8, 100) == line.explain_engine(8, (100,)) == line.explain_engine(8, (1, 100))
    for wrong in (0, (4, 100), "100", None):
        with pytest.raises(ValueError, match=r"^size must be n, a positive integer, not "):
            line.explain_engine(8, wrong)
    assert LambdaLayer(64, position=False).explain_engine(8, (14, 14)) == "none: this layer has no position part."
    assert "scope=23" in repr(LambdaLayer(64))


def test_a_centred_pooling_window():
    """pool_size=3 is the average of 3 x 3 with a border of zeros, taken at every second position."""
    torch.manual_seed(0)
    plain, pooled = LambdaLayer(8, dim_k=4, scope=3), LambdaLayer(8, dim_k=4, scope=3, stride=2, pool_size=3)
    pooled.load_state_dict(plain.state_dict())
    x = torch.randn(2, 8, 7, 6)
    padded = torch.nn.functional.pad(plain.eval()(x), (1, 1, 1, 1))
    expected = padded.unfold(2, 3, 2).unfold(3, 3, 2).mean((-2, -1))
    torch.testing.assert_close(pooled.eval()(x), expected)
    with pytest.raises(ValueError, match="pool_size must be an odd positive integer"):
        LambdaLayer(8, stride=2, pool_size=2)


@pytest.mark.parametrize("layer_type", [LambdaLayer, LambdaLayer1d])
@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_gradients_of_one_sample_are_those_of_a_batch(layer_type, engine):
    """Batch norm's backward pass once took the gradient of a batch of one for another layout."""
    torch.manual_seed(0)
    layer = layer_type(8, heads=2, dim_k=4, scope=3, engine=engine).eval()
    torch.nn.init.normal_(layer.embeddings)
    x = torch.randn(1, 8, *(7, 5)[: layer.dims])
    way = torch.randn(1, 8, *x.shape[2:])

    def gradient(batch):
        batch = batch.clone().requires_grad_()
        (layer(batch) * way).sum().backward()
        return batch.grad

    torch.testing.assert_close(gradient(x), gradient(torch.cat([x, x]))[:1])


@pytest.mark.parametrize("layer_type", [LambdaLayer, LambdaLayer1d])
@pytest.mark.parametrize("options", [{"scope": 3, "dim_u": 2}, {"position": False, "key_norm": "l2"}], ids=str)
def test_a_context_of_its_own(layer_type, options):
    layer = randomize(layer_type(6, 8, dim_context=5, dim_k=3, heads=2, **options))
    sides = (4, 3)[: layer.dims]
    other = sides if layer.position else (2, 5)[: layer.dims]
    x, context = torch.randn(2, 6, *sides, dtype=torch.float64), torch.randn(2, 5, *other, dtype=torch.float64)
    q = layer.norm_q(layer.to_q(x)).flatten(2).unflatten(1, (2, 3)).transpose(2, 3)
    k = layer.to_k(context).flatten(2).unflatten(1, (3, -1)).permute(0, 3, 1, 2)
    v = layer.norm_v(layer.to_v(context)).flatten(2).unflatten(1, (4, -1)).permute(0, 3, 1, 2)
    pairs = None
    if layer.position:
        table = layer.embeddings if layer.dims == 2 else layer.embeddings[:, :, None]
        pairs = positions.gather(table, (1, *sides)[-2:]).permute(2, 3, 0, 1)
    expected = lambda_layer(q, k, v, pairs, key_norm=layer.key_norm).transpose(2, 3).reshape(2, 8, *sides)
    torch.testing.assert_close(layer(x, context), expected, rtol=0, atol=1e-10)


def test_a_context_is_the_input_where_none_is_given():
    layer = randomize(LambdaLayer1d(4, dim_k=2, heads=2, scope=3, causal=True))
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    assert torch.equal(layer(x, x), layer(x))
    assert not torch.allclose(layer(x, x.flip(2)), layer(x))


def test_contexts_that_do_not_fit():
    layer, x = LambdaLayer(8, dim_k=3, heads=2, scope=3), torch.randn(2, 8, 4, 5)
    with pytest.raises(ValueError, match=r"^the context is \(3, 5\) and the queries \(4, 5\): between"):
        layer(x, torch.randn(2, 8, 3, 5))
    with pytest.raises(ValueError, match=r"^the context must be \(2, 8, H, W\), not \(2, 7, 4, 5\)$"):
        layer(x, torch.randn(2, 7, 4, 5))
    with pytest.raises(ValueError, match=r"^the context must be \(2, 8, H, W\), not \(1, 8, 4, 5\)$"):
        layer(x, torch.randn(1, 8, 4, 5))
    with pytest.raises(ValueError, match=r"^the context must be \(2, 3, n\), not \(2, 8, 4\)$"):
        LambdaLayer1d(8, dim_context=3)(torch.randn(2, 8, 4))
    with pytest.raises(ValueError, match=r"^the context is \(5,\) and the queries \(4,\)"):
        LambdaLayer1d(8, position=False, causal=True)(torch.randn(2, 8, 4), torch.randn(2, 8, 5))
    layer.position = False  # the content half takes any context
    assert layer(x, torch.randn(2, 8, 3, 2)).shape == (2, 8, 4, 5)


def test_an_engine_that_is_set_later_is_checked_too():
    layer = LambdaLayer(8, scope=3)
    layer.engine = "gem"
    with pytest.raises(ValueError, match=r"^engine must be auto or one of einsum, .*, not 'gem'$"):
        layer(torch.randn(1, 8, 4, 4))


def test_a_global_layer_has_no_engine_for_a_larger_map():
    layer = LambdaLayer(8, scope=None, size=(7, 7))
    assert layer.explain_engine(8, (7, 7))
    with pytest.raises(ValueError, match=r"made for inputs up to size=\(7, 7\), not \(14, 7\)$"):
        layer.explain_engine(8, (14, 7))
