"""DeepLIFT's map sums to the logit's rise over the baseline, or DeepLIFT says that it does not apply."""

import pytest
import torch
from torch import nn

from lambda_core import build
from lambda_core.attribution import METHODS, attribute, deeplift
from lambda_core.attribution.deeplift import rescaled, softmax
from lambda_core.layers import LAYERS


def network(**options):
    """Small, with norms that do something, and projections whose softmax is far from even."""
    torch.manual_seed(0)
    made = build("lambda_resnet_mini", **{
        "depths": (1, 1, 1, 1), "widths": (8, 8, 16, 16), "stem": ((3, 8, 2),), "num_classes": 5, **options,
    }).eval()  # fmt: skip
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    nn.init.normal_(made.classify.weight, std=10)
    return made


SMALL = {"scope": 3, "dim_k": 4, "heads": 2}
COMPLETE = {
    "silu": {"act": "silu", "layer": SMALL},
    "convolutions with silu": {"act": "silu", "stages": "CCCC"},
    "squeeze-excite": {"stages": "SSLL", "layer": SMALL, "layers": {"S": {"ratio": 0.5}}},
    "slices and a bias": {"layer": {**SMALL, "dim_u": 2, "position_bias": True}},
    "a max-pool in the stem": {"pool": True, "layer": SMALL},
    "keys as they are": {"layer": {**SMALL, "key_norm": "none"}},
}


@pytest.mark.parametrize("name", COMPLETE)
def test_the_map_sums_to_the_rise_of_the_logit(name):
    model = network(**COMPLETE[name])
    x = 3 * torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    black = torch.full_like(x, -1.0)
    with torch.no_grad():
        rise, target = (model(x) - model(black))[0].max(0)
    found = attribute(model, x, int(target), method="deeplift", baseline=black, raw=True).sum().item()
    assert rise > 0.05
    assert found == pytest.approx(rise.item(), rel=1e-3)


@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1), (3, 1, 0)], ids=str)
def test_the_maximum_of_a_window_may_move(window):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(*window), nn.Flatten(), nn.LazyLinear(2)
    ).eval()  # fmt: skip
    x, baseline = torch.randn(2, 1, 3, 9, 9)
    with torch.no_grad():
        rise = (model(x) - model(baseline))[0, 1].item()
    found = attribute(model, x, 1, method="deeplift", baseline=baseline, raw=True).sum().item()
    assert found == pytest.approx(rise, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("letter", sorted(set(LAYERS) - set("CLS")))
def test_layers_without_a_rule_are_refused(letter):
    with pytest.raises(ValueError, match=r"^DeepLIFT has no rule for \w+, without which its map does not sum"):
        attribute(network(stages=f"CC{letter}L", image_size=24), torch.zeros(1, 3, 24, 24), 0, method="deeplift")


@pytest.mark.parametrize(
    "module", [nn.GELU(), nn.Hardswish(), nn.MultiheadAttention(4, 2), nn.GroupNorm(2, 4), nn.AdaptiveMaxPool2d(1)]
)
def test_other_modules_without_a_rule_are_refused(module):
    assert type(module).__name__ in METHODS["deeplift"].why_not(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), module))


def test_keys_without_a_rule_are_refused():
    with pytest.raises(ValueError, match="not l2"):
        attribute(network(layer={**SMALL, "key_norm": "l2"}), torch.zeros(1, 3, 24, 24), 0, method="deeplift")


@pytest.mark.parametrize("apart", [0.0, 1.0, 120.0, 2000.0])
@pytest.mark.parametrize("spread", [1.0, 50.0, 500.0])
def test_softmax_shares_its_difference_however_far_apart_the_halves_are(apart, spread):
    x = spread * torch.randn(2, 6, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x[1] -= apart
    x.requires_grad_()
    y = softmax(x, 1)
    torch.testing.assert_close(y, x.softmax(1))
    assert softmax(x.float(), 1).isfinite().all()
    for place in (0, 3):
        (m,) = torch.autograd.grad(y[0, place].sum(), x, retain_graph=True)
        expected = (y[0, place] - y[1, place]).sum().detach()
        torch.testing.assert_close((m[0] * (x[0] - x[1])).sum().detach(), expected)
        (low,) = torch.autograd.grad(softmax(x.float(), 1)[0, place].sum(), x)
        assert low.isfinite().all()


def test_a_shift_of_all_keys_is_worth_nothing():
    x = torch.randn(1, 6, 3, 2).expand(2, -1, -1, -1).clone()
    x[1] -= 5
    x.requires_grad_()
    (m,) = torch.autograd.grad(softmax(x, 1)[0, 2].sum(), x)
    assert abs((m[0] * 5).sum().item()) < 1e-4


def test_a_rescaled_function_has_its_slope_where_nothing_differs():
    x = torch.randn(5).repeat(2).requires_grad_()
    (m,) = torch.autograd.grad(rescaled(nn.functional.silu, deeplift._silu_slope, x).sum(), x)
    torch.testing.assert_close(m, torch.autograd.grad(nn.functional.silu(x).sum(), x)[0])
