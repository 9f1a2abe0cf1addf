"""Every layer under a letter: one face, and the numbers of an independent implementation or of a walk over pairs."""

import itertools

import pytest
import torch
from timm.layers.bottleneck_attn import BottleneckAttn
from torch import nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation

from lambda_core.functional import lambda_layer
from lambda_core.layers import (
    LAYERS,
    AugmentedConvolution,
    AxialAttention,
    ConvolutionThen,
    GlobalAttention,
    LocalAttention,
    LocalRelation,
    PatchwiseAttention,
)
from lambda_core.layers.linear_attention import DoubleAttention, EfficientAttention
from lambda_core.layers.squeeze_excite import SqueezeExcite
from tests.peers import randomize

OTHERS = {letter: layer for letter, layer in LAYERS.items() if letter != "L"}  # test_lambda_layer.py has it
SIZES = [(5, 5), (3, 6), (1, 4), (7, 2)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def image(channels, size, batch=2):
    return torch.randn(batch, channels, *size, dtype=torch.float64)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def tokens(x, heads=1):
    """(b, h d, H, W) -> (b, h, n, d)"""
    return x.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3)


def as_map(y, size):
    """(b, h, n, d) -> (b, h d, H, W)"""
    return y.transpose(2, 3).flatten(1, 2).unflatten(2, size)


def places(size):
    return list(itertools.product(range(size[0]), range(size[1])))


def walk(q, k, v, size, embedding, seen=lambda dy, dx: True):
    """softmax(q · (k + r) / √d) v with r and what may be seen found pair by pair, through torch's own attention."""
    bias = torch.full((*q.shape[:3], q.shape[2]), float("-inf"), dtype=q.dtype)
    for n, (y, x) in enumerate(places(size)):
        for m, (i, j) in enumerate(places(size)):
            if seen(i - y, j - x):
                bias[:, :, n, m] = (q[:, :, n] * embedding(i - y, j - x)).sum(-1) * q.shape[-1] ** -0.5
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def entry(table, offset):
    """The embedding of an offset, or of the outermost one that the table has."""
    reach = table.shape[-1] // 2
    return table[..., max(-reach, min(reach, offset)) + reach]


# One face


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("letter", OTHERS)
def test_one_face(letter, stride):
    for size in [(1, 1), (5, 7), (4, 2)]:
        layer = OTHERS[letter](16, 32, stride=stride).eval()
        y = layer(torch.randn(2, 16, *size))
        assert y.shape == (2, 32, -(-size[0] // stride), -(-size[1] // stride))
    assert OTHERS[letter](16)(torch.randn(2, 16, 3, 3)).shape == (2, 16, 3, 3)


@pytest.mark.parametrize("letter", OTHERS)
def test_every_weight_learns(letter):
    layer = OTHERS[letter](16, 32, stride=2, **({"ratio": 1} if letter == "S" else {})).double()
    x = image(16, (5, 7)).requires_grad_()
    layer(x).square().sum().backward()
    for name, weight in {"x": x, **dict(layer.named_parameters())}.items():
        assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("letter", ["S", "D", "E", "A", "R", "H", "G", "X"])
def test_gradients_are_those_of_finite_differences(letter):
    options = {"A": {"heads": 2}, "R": {"heads": 2, "window": 3}, "H": {"window": 3, "share": 2}}.get(letter, {})
    options |= {"heads": 2} if letter in "EGX" else {}
    layer = randomize(OTHERS[letter](4, stride=2, **options))
    assert torch.autograd.gradcheck(layer, image(4, (3, 2), batch=1).requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("letter", OTHERS)
def test_mixed_precision_and_the_meta_device(letter):
    layer = OTHERS[letter](16).train()
    x = torch.randn(4, 16, 9, 9)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
        y.float().square().mean().backward()
    assert y.dtype == torch.bfloat16
    assert (y - exact).norm() / exact.norm() < 0.05
    assert all(p.grad.isfinite().all() for p in layer.parameters())
    assert layer.to("meta")(x.to("meta")).shape == (4, 16, 9, 9)


# A convolution, then a unit that keeps the shape


@pytest.mark.parametrize("letter", ["S", "D", "E"])
def test_a_unit_follows_the_convolution(letter):
    layer = randomize(LAYERS[letter](16, stride=2))
    assert isinstance(layer, ConvolutionThen)
    x = image(16, (5, 4))
    close(layer(x), layer.unit(F.conv2d(x, layer.convolution.weight, stride=2, padding=1)))


def test_squeeze_excite_against_torchvision():
    ours, theirs = randomize(SqueezeExcite(32, ratio=1 / 4)), SqueezeExcitation(32, 8).double()
    theirs.load_state_dict(
        {f"{fc}.{part}": ours.get_parameter(f"{own}.{part}") for fc, own in (("fc1", "squeeze"), ("fc2", "excite"))
         for part in ("weight", "bias")}
    )  # fmt: skip
    x = image(32, (5, 3))
    close(ours(x), theirs(x))


@pytest.mark.parametrize("size", SIZES)
def test_double_attention_by_a_walk(size):
    layer = randomize(DoubleAttention(6, dim_k=3, dim_v=4))
    x = image(6, size)
    features, gather, distribute = (
        tokens(to(x))[:, 0] for to in (layer.to_features, layer.to_gather, layer.to_distribute)
    )
    y = torch.zeros(2, size[0] * size[1], 4, dtype=torch.float64)
    for b, n in itertools.product(range(2), range(y.shape[1])):
        shares = distribute[b, n].exp() / distribute[b, n].exp().sum()
        for k in range(3):
            weights = gather[b, :, k].exp() / gather[b, :, k].exp().sum()
            y[b, n] += shares[k] * sum(w * f for w, f in zip(weights, features[b], strict=True))
    close(layer(x), x + layer.to_out(as_map(y[:, None], size)))


@pytest.mark.parametrize("size", SIZES)
def test_efficient_attention_is_a_content_lambda_for_each_head(size):
    layer = randomize(EfficientAttention(6, heads=2, dim_k=4, dim_v=6))
    x = image(6, size)
    q, k, v = (tokens(to(x), 2) for to in (layer.to_q, layer.to_k, layer.to_v))
    heads = [
        lambda_layer(q[:, [h]], k[:, h, :, :, None], v[:, h, :, :, None], key_norm="softmax_keys_queries")
        for h in range(2)
    ]
    close(layer(x), x + layer.to_out(as_map(torch.cat(heads, 1), size)))


# Attention over the whole map


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("reach", [(9, 9), (2, 3)])
def test_global_attention_by_a_walk(size, reach):
    layer = randomize(GlobalAttention(6, 8, heads=2, size=reach))
    x = image(6, size)
    q, k, v = (tokens(part, 2) for part in layer.to_qkv(x).chunk(3, 1))
    y = walk(q, k, v, size, lambda dy, dx: entry(layer.rows, dy) + entry(layer.columns, dx))
    close(layer(x), as_map(y, size))


def test_global_attention_against_timm():
    """BoTNet's attention has the same relative logits."""
    theirs = randomize(BottleneckAttn(8, 8, feat_size=(4, 5), num_heads=2, qk_ratio=1.0, scale_pos_embed=True))
    ours = GlobalAttention(8, heads=2, size=(4, 5)).double()
    with torch.no_grad():
        ours.to_qkv.weight.copy_(theirs.qkv.weight)
        ours.rows.copy_(theirs.pos_embed.height_rel.T)
        ours.columns.copy_(theirs.pos_embed.width_rel.T)
    x = image(8, (4, 5))
    close(ours(x), theirs(x))
    with torch.no_grad():
        ours.rows.copy_(ours.rows.flip(1))
    assert not torch.allclose(ours(x), theirs(x), atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("reach", [(9, 9), (2, 3)])
def test_axial_attention_by_a_walk(size, reach):
    layer = randomize(AxialAttention(6, 8, heads=2, size=reach))
    x = image(6, size)
    y = x
    for axis, part in enumerate((layer.along_height, layer.along_width)):
        q, k, v = (tokens(channels, 2) for channels in part.to_qkv(y).chunk(3, 1))
        y = as_map(
            walk(
                q, k, v, size,
                lambda *offsets, part=part, axis=axis: entry(part.table, offsets[axis]),
                lambda *offsets, axis=axis: offsets[1 - axis] == 0,
            ),
            size,
        )  # fmt: skip
    close(layer(x), y)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
def test_augmented_convolution_by_a_walk(size, stride):
    layer = randomize(AugmentedConvolution(6, 12, heads=2, value_share=0.4, stride=stride, size=(9, 3)))
    x = image(6, size)
    assert layer.depths == (40, 40, 4)
    q, k, v = (tokens(part, 2) for part in layer.to_qkv(x).split(layer.depths, 1))
    y = layer.to_out(as_map(walk(q, k, v, size, lambda i, j: entry(layer.rows, i) + entry(layer.columns, j)), size))
    y = F.avg_pool2d(y, stride, ceil_mode=True)
    close(layer(x), torch.cat([F.conv2d(x, layer.convolution.weight, stride=stride, padding=1), y], 1))


def test_the_shares_of_augmented_convolutions():
    """Bello et al. 2019, κ = 0.2 and υ = 0.1: at least 20 dimensions a head, values a multiple of the heads."""
    depths = {dim: AugmentedConvolution(dim).depths for dim in (128, 256, 512, 1024)}
    assert depths == {128: (160, 160, 8), 256: (160, 160, 24), 512: (160, 160, 48), 1024: (200, 200, 96)}


# Windows


def near(window):
    return lambda dy, dx: max(abs(dy), abs(dx)) <= window // 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window", [3, 7])
def test_local_attention_by_a_walk(size, window):
    layer = randomize(LocalAttention(6, 10, heads=2, window=window))
    x = image(6, size)
    q, k, v = (tokens(part, 2) for part in layer.to_qkv(x).chunk(3, 1))

    def embedding(dy, dx):  # (h, d), two channels for the row and three for the column
        return torch.cat([layer.rows[..., dy + window // 2], layer.columns[..., dx + window // 2]], 1)

    close(layer(x), as_map(walk(q, k, v, size, embedding, near(window)), size))


@pytest.mark.parametrize("window", [3, 7])
@pytest.mark.parametrize("size", SIZES)
def test_local_relation_by_a_walk(size, window):
    layer = randomize(LocalRelation(5, 6, window=window, share=2))  # groups of 2, 2 and 1 channels
    x = image(5, size)
    q, k = tokens(layer.to_q(x))[:, 0], tokens(layer.to_k(x))[:, 0]
    flat, y = tokens(x)[:, 0], torch.zeros(2, size[0] * size[1], 5, dtype=torch.float64)
    for n, (row, column) in enumerate(places(size)):
        seen = [m for m, (i, j) in enumerate(places(size)) if near(window)(i - row, j - column)]
        offsets = [
            ((places(size)[m][0] - row) / (window // 2), (places(size)[m][1] - column) / (window // 2)) for m in seen
        ]
        logits = torch.stack([
            layer.geometry(torch.tensor(offset, dtype=torch.float64)) - (q[:, n] - k[:, m]) ** 2
            for m, offset in zip(seen, offsets, strict=True)
        ])  # fmt: skip
        weights = logits.softmax(0)  # (m, b, groups)
        for channel in range(5):
            y[:, n, channel] = sum(w[:, channel // 2] * flat[:, m, channel] for w, m in zip(weights, seen, strict=True))
    close(layer(x), layer.to_out(as_map(y[:, None], size)))


@pytest.mark.parametrize("size", SIZES)
def test_patchwise_attention_by_a_walk(size):
    layer = randomize(PatchwiseAttention(6, 8, window=3, dim_k=2, share=4))
    x = image(6, size)
    q, k, v = (tokens(to(x))[:, 0] for to in (layer.to_q, layer.to_k, layer.to_v))
    y = torch.zeros(2, size[0] * size[1], 8, dtype=torch.float64)
    for n, (row, column) in enumerate(places(size)):
        seen = [
            min(max(row + dy, 0), size[0] - 1) * size[1] + min(max(column + dx, 0), size[1] - 1)
            for dy, dx in itertools.product((-1, 0, 1), repeat=2)
        ]
        patch = torch.stack([k[:, m] for m in seen], 2).flatten(1)  # channel by channel
        weights = layer.to_weights(torch.cat([q[:, n], patch], 1)[..., None, None]).view(2, 2, 9)
        for channel in range(8):
            y[:, n, channel] = sum(weights[:, channel // 4, i] * v[:, m, channel] for i, m in enumerate(seen))
    close(layer(x), as_map(y[:, None], size))


@pytest.mark.parametrize(("letter", "window"), [("R", 7), ("H", 5), ("Z", 3)])
def test_nothing_outside_the_window_is_seen(letter, window):
    layer = randomize(LAYERS[letter](8, window=window))
    x = image(8, (9, 9)).requires_grad_()
    seen = torch.autograd.grad(layer(x)[0, :, 4, 4].sum(), x)[0][0].abs().sum(0) > 0
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[4 - window // 2 : 5 + window // 2, 4 - window // 2 : 5 + window // 2] = True
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("letter", ["A", "D", "E", "G", "S"])
def test_every_pixel_is_seen(letter):
    layer = randomize(LAYERS[letter](16, **({"ratio": 1} if letter == "S" else {})))
    x = image(16, (6, 5)).requires_grad_()
    assert (torch.autograd.grad(layer(x)[0, :, 0, 0].sum(), x)[0][0].abs().sum(0) > 0).all()


@pytest.mark.parametrize(
    ("letter", "options", "message"),
    [
        ("S", {"ratio": 0}, "ratio must be above 0 and at most 1, not 0"),
        ("E", {"heads": 3}, "dim_k=8 cannot be split over heads=3: it must be a multiple of heads"),
        ("G", {"heads": 3}, "dim_out=16 cannot be split over heads=3: it must be a multiple of heads"),
        ("X", {"heads": 0}, "heads must be at least 1, not 0"),
        ("G", {"heads": 2.0}, "heads must be an integer, not 2.0"),
        ("R", {"heads": "8"}, "heads must be an integer, not '8'"),
        ("R", {"window": True}, "window must be an odd positive integer, not True"),
        ("E", {"heads": None}, "heads must be an integer, not None"),
        ("E", {"dim_v": 0}, "dim_v must be at least 1, not 0"),
        ("D", {"dim_k": 2.5}, "dim_k must be an integer, not 2.5"),
        ("D", {"dim_k": 0}, "dim_k must be at least 1, not 0"),
        ("Z", {"dim_k": 0}, "dim_k must be at least 1, not 0"),
        ("Z", {"share": 2.0}, "share must be an integer, not 2.0"),
        ("A", {"value_share": -1}, "value_share must be above 0 and at most 1, not -1"),
        ("A", {"key_share": float("nan")}, "key_share must be above 0 and at most 1, not nan"),
        ("S", {"ratio": "1/16"}, "ratio must be above 0 and at most 1, not '1/16'"),
        ("L", {"pool_size": "3"}, "pool_size must be an odd positive integer, or None for the stride, not '3'"),
        ("L", {"scope": True}, "scope must be an odd positive integer, or None for global, not True"),
        ("G", {"size": (0, 4)}, r"size must be \(H, W\), two positive integers, not \(0, 4\)"),
        ("G", {"stride": 0}, "stride must be at least 1, not 0"),
        ("A", {"heads": 16}, "attention takes 16 of dim_out=16 channels and leaves none for the convolution: lower h"),
        ("A", {"heads": 0}, "heads must be at least 1, not 0"),
        ("R", {"window": 4}, "window must be an odd positive integer, not 4"),
        ("H", {"share": 0}, "share must be at least 1, not 0"),
        ("Z", {"share": 3}, "dim_out=16 cannot be split over groups of share=3: it must be a multiple"),
    ],
)
def test_errors(letter, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        LAYERS[letter](16, **options)


@pytest.mark.parametrize("letter", "RH")
def test_logits_beyond_float16_have_weights(letter):
    """Queries of 100 and keys of -100 in 16 channels, or of 300 and -300: all of a window is alike to them."""
    if letter == "R":
        layer = LocalAttention(16, heads=1, window=3)
        weights, embeddings = {"to_qkv": (6.25, -6.25, 1 / 16)}, (layer.rows, layer.columns)
    else:
        layer = LocalRelation(16, window=3)
        weights, embeddings = {"to_q": (300 / 16,), "to_k": (-300 / 16,), "to_out": (1 / 16,)}, ()
    with torch.no_grad():
        for name, values in weights.items():
            for rows, value in zip(layer.get_submodule(name).weight.chunk(len(values)), values, strict=True):
                rows.fill_(value)
        for table in embeddings:
            table.zero_()
        for parameter in getattr(layer, "geometry", nn.Identity()).parameters():
            parameter.zero_()
        y = layer.half()(torch.ones(1, 16, 3, 3, dtype=torch.float16))
    torch.testing.assert_close(y, torch.ones_like(y), rtol=0, atol=2e-3)
