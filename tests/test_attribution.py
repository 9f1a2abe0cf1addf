"""Attributions: what must sum sums, Captum and hand-written methods agree, and shared models stay untouched."""

import gc
import sys
import threading
import time

import captum.attr as captum
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lambda_core import build, trace
from lambda_core.attribution import FILLS, METHODS, attribute, cascade, curve, halves, replaced
from lambda_core.attribution.sanity import ranks, spearman
from lambda_core.attribution.twin import Pace, twin, unshare
from lambda_core.switching import everywhere, switched

SIDE = 24
LAYERS = ("stages.2.0.mix", "stages.3.0.mix")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = build(
        "lambda_resnet_mini", depths=(1, 1, 1, 1), widths=(4, 4, 8, 8), stem=((3, 8, 2),), num_classes=5,
        scope=3, dim_k=4, heads=2, engine="einsum",
    )  # fmt: skip
    for module in made.modules():  # norms that do something, and blocks that are more than their shortcuts
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    nn.init.normal_(made.classify.weight, std=10)
    return made.eval()


@pytest.fixture
def x():
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def logit(model, x, target=2):
    with torch.no_grad():
        return model(x)[0, target].item()


def hooks(model):
    return sum(
        len(getattr(module, name))
        for module in model.modules()
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_and_leaves_the_model_alone(model, x, method):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [(p.requires_grad, p.grad) for p in model.parameters()]
    inplace = [m.inplace for m in model.modules() if hasattr(m, "inplace")]
    pictures = torch.cat([x, 10 * x.flip(3)])
    heat = attribute(model, pictures, torch.tensor([2, 1]), method=method)
    assert heat.shape == (2, SIDE, SIDE)
    assert heat.isfinite().all() and heat.abs().sum() > 0
    assert METHODS[method].signed or heat.min() >= 0
    single = attribute(model, x, 2, method=method, layer=LAYERS[1] if METHODS[method].layered else None)
    torch.testing.assert_close(single[0], heat[0], rtol=1e-3, atol=1e-5)
    assert hooks(model) == 0
    assert [(p.requires_grad, p.grad) for p in model.parameters()] == flags
    assert [m.inplace for m in model.modules() if hasattr(m, "inplace")] == inplace
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("method", "slack"), [("integrated_gradients", 2e-2), ("deeplift", 1e-3)])
def test_shares_of_the_pixels_sum_to_the_logit_difference(model, x, method, slack):
    options = {"steps": 256} if method == "integrated_gradients" else {}
    black = torch.full_like(x, -1.0)
    with torch.no_grad():
        difference, target = (model(x) - model(black))[0].max(0)
    found = attribute(model, x, int(target), method=method, baseline=black, raw=True, **options).sum().item()
    assert difference > 0.05
    assert found == pytest.approx(difference.item(), rel=slack)


def test_deeplift_of_plain_captum_would_miss_the_logit_difference(model, x):
    """The rules for the products of a lambda layer are what makes it sum."""
    own = twin(model)
    unshare(own, x, (nn.ReLU,))
    with pytest.warns(UserWarning, match="hooks"):
        plain = captum.DeepLift(own).attribute(x.clone().requires_grad_(), torch.zeros_like(x), 2).sum().item()
    difference = logit(model, x) - logit(model, torch.zeros_like(x))
    ours = attribute(model, x, 2, method="deeplift", raw=True).sum().item()
    assert abs(plain - difference) > 20 * abs(ours - difference)


@pytest.mark.parametrize("layer", LAYERS)
def test_halves_sum_to_what_the_layer_adds_to_the_logit(model, x, layer):
    found = halves(model, x, 2, layer, steps=128)
    assert found.logit == pytest.approx(logit(model, x), abs=1e-4)
    assert abs(found.error) < 0.02 * abs(found.logit - found.silent) + 1e-4
    own = twin(model)
    mix = own.get_submodule(layer)
    mix.content = False
    assert found.without_content == pytest.approx(logit(own, x), abs=1e-4)
    mix.content, mix.position = True, False
    assert found.without_position == pytest.approx(logit(own, x), abs=1e-4)


def test_halves_are_captums_integrated_gradients_over_the_two_taps(model, x):
    layer = LAYERS[1]
    taps = trace(model, x)
    values = tuple(taps[f"{layer}.{half}_output"] for half in ("content", "position"))

    def rest(content, position):
        own = twin(model)
        mix = own.get_submodule(layer)
        mix.content_output.register_forward_hook(lambda *_: content)
        mix.position_output.register_forward_hook(lambda *_: position)
        return own(x.expand(len(content), -1, -1, -1))

    expected = captum.IntegratedGradients(rest).attribute(
        tuple(v.clone().requires_grad_() for v in values), tuple(map(torch.zeros_like, values)), 2, n_steps=32
    )
    found = halves(model, x, 2, layer, steps=32)
    for half, share in zip((found.content, found.position), expected, strict=True):
        torch.testing.assert_close(half.flatten(), share[0].sum((0, 2)), rtol=1e-3, atol=1e-5)


def test_halves_of_a_layer_with_one_half(x):
    made = build(
        "lambda_resnet_mini", depths=(1, 1, 1, 1), widths=(4, 4, 8, 8), num_classes=5, scope=3, content=False,
        engine="einsum",
    ).eval()  # fmt: skip
    found = halves(made, x, 0, LAYERS[0])
    assert not found.content.any()
    assert found.without_content == found.logit


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("saliency", lambda m, x: captum.Saliency(m).attribute(x, target=2).amax(1)),
        ("input_x_gradient", lambda m, x: captum.InputXGradient(m).attribute(x, target=2).sum(1)),
        ("integrated_gradients", lambda m, x: captum.IntegratedGradients(m).attribute(x, target=2, n_steps=32).sum(1)),
        ("occlusion", lambda m, x: captum.Occlusion(m).attribute(x, (3, 4, 4), (3, 2, 2), target=2).sum(1)),
        ("layer_conductance", lambda m, x: enlarged(captum.LayerConductance, m, x, n_steps=32).sum(1)),
        ("layer_activation", lambda m, x: F.interpolate(activation(m, x), (SIDE, SIDE), mode="bilinear")[:, 0]),
    ],
)
def test_captum_itself_says_the_same(model, x, method, expected):
    own = twin(model)
    mine = attribute(model, x, 2, method=method, layer=LAYERS[0] if METHODS[method].layered else None)
    torch.testing.assert_close(mine, expected(own, x.clone().requires_grad_()).detach(), rtol=1e-3, atol=1e-5)


def enlarged(method, model, x, **options):
    found = method(model, model.get_submodule(LAYERS[0])).attribute(x, target=2, **options)
    return F.interpolate(found, (SIDE, SIDE), mode="bilinear")


def activation(model, x):
    return captum.LayerActivation(model, model.get_submodule(LAYERS[0])).attribute(x).abs().mean(1, keepdim=True)


def test_smoothgrad_is_captums_noise_tunnel(model, x):
    tunnel = captum.NoiseTunnel(captum.Saliency(twin(model)))
    spread = (0.1 * (x.max() - x.min())).item()
    torch.manual_seed(3)
    expected = tunnel.attribute(
        x.clone().requires_grad_(), nt_samples=16, nt_samples_batch_size=8, stdevs=spread, target=2
    )
    found = attribute(model, x, 2, method="smoothgrad", seed=3)
    torch.testing.assert_close(found, expected.detach().amax(1), rtol=1e-3, atol=1e-5)


def test_grad_cam_by_hand(model, x):
    own = twin(model)
    seen = {}
    own.get_submodule(LAYERS[1]).register_forward_hook(lambda _m, _a, out: seen.update(a=out.requires_grad_()))
    gradient = torch.autograd.grad(own(x)[0, 2], seen["a"])[0]
    weights = gradient.mean((2, 3), keepdim=True)
    expected = (weights * seen["a"]).sum(1, keepdim=True).relu()
    found = attribute(model, x, 2, method="grad_cam", layer=LAYERS[1], raw=True)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)


class Corner(nn.Module):
    """Looks at the upper left quarter alone."""

    def forward(self, x):
        half = x[:, :, : SIDE // 2, : SIDE // 2]
        return torch.stack([half.square().sum((1, 2, 3)), half.sum((1, 2, 3))], 1)


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.layered])
def test_maps_point_at_what_a_network_looks_at(x, method):
    options = {"window": 4, "stride": 4} if method == "occlusion" else {}
    heat = attribute(Corner(), x, 0, method=method, **options)[0].abs()
    seen = heat[: SIDE // 2, : SIDE // 2]
    assert seen.min() >= 0 and seen.sum() > 0
    assert heat.sum() == pytest.approx(seen.sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"method": "magic"}, ValueError, "saliency"),
        ({"target": 5}, ValueError, "0 to 4"),
        ({"target": -1}, ValueError, "0 to 4"),
        ({"target": torch.tensor([1, 2, 3])}, ValueError, "one for each of the 1 inputs"),
        ({"method": "grad_cam", "layer": "stages.9"}, ValueError, "stages.2.0.mix"),
        ({"method": "grad_cam", "layer": "classify"}, ValueError, "to make a map"),
        ({"method": "occlusion", "window": 25}, ValueError, "window must be at most 24"),
        ({"method": "saliency", "steps": 3}, TypeError, "no option 'steps'"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(model, x, arguments, error, words):
    with pytest.raises(error, match=words):
        attribute(model, x, **{"target": 0, **arguments})
    with pytest.raises(ValueError, match=r"\(3, 24, 24\)"):
        attribute(model, x[0], 0)
    with pytest.raises(ValueError, match="lambda layer"):
        halves(model, x, 0, "classify")
    for target in (-1, 5):
        with pytest.raises(ValueError, match="from 0 to 4"):
            halves(model, x, target, LAYERS[0])
        with pytest.raises(ValueError, match="from 0 to 4"):
            curve(model, x, target, x[0, 0])
    with pytest.raises(ValueError, match=r"as large as the picture, \(24, 24\), not \(12, 12\)"):
        curve(model, x, 0, torch.zeros(12, 12))
    with pytest.raises(ValueError, match="one picture"):
        curve(model, x.expand(2, -1, -1, -1), 0, x[0, 0])


def test_without_captum_the_sentence_says_what_to_install(model, x, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "captum"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install captum"):
        attribute(model, x, 0)
    assert halves(model, x, 0, LAYERS[0], steps=2).logit == pytest.approx(logit(model, x, 0), abs=1e-3)


def asked(model, x, target, kind, lock=None):
    """One of all that a session can ask for, as tensors."""
    if kind == "halves":
        found = halves(model, x, target, LAYERS[0], steps=8, lock=lock)
        return found.content, found.position, torch.tensor([found.without_content, found.without_position])
    if kind == "curve":
        found = curve(model, x, target, x[0].sum(0), steps=8, lock=lock)
        return (torch.from_numpy(found.probabilities),)
    if kind == "cascade":
        return (cascade(model, x, target, method="saliency", lock=lock).maps,)
    return (attribute(model, x, target, method=kind, lock=lock),)


def test_twenty_threads_get_what_one_would(model):
    """Beside threads that trace the very same model, and switch its halves off and on."""
    lock = threading.Lock()
    kinds = [*METHODS, "halves", "curve", "cascade"]
    pictures = torch.randn(20, 1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    jobs = [(pictures[i], i % 5, kinds[i % len(kinds)]) for i in range(20)]
    off = everywhere(model, "content")
    alone = [asked(model, *job) for job in jobs]
    traced = trace(model, pictures[0])
    with switched(model, off):
        silent = logit(model, pictures[0])
    found, wrong = [None] * 20, []

    def work(i):
        found[i] = asked(model, *jobs[i], lock)
        with lock:
            again = trace(model, pictures[0])
            with switched(model, off):
                wrong.extend(["switched"] * (logit(model, pictures[0]) != silent))
        wrong.extend(name for name in traced if not torch.equal(traced[name], again[name]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    for one, many in zip(alone, found, strict=True):
        assert all(map(torch.equal, one, many))
    assert hooks(model) == 0


@pytest.mark.long
def test_memory_is_flat_over_attributions(model):
    methods = ("saliency", "grad_cam", "deeplift", "input_x_gradient", "layer_activation")

    def things_after(count):
        for i in range(count):
            attribute(model, torch.randn(1, 3, SIDE, SIDE), i % 5, method=methods[i % len(methods)])
        gc.collect()
        living = [type(thing) for thing in gc.get_objects()]
        return sum(issubclass(kind, nn.Module | torch.Tensor) for kind in living), len(living)

    (tensors_before, before), (tensors_after, after) = things_after(20), things_after(120)
    assert tensors_after <= tensors_before
    assert after < before + 25


def test_long_work_lets_others_in_and_can_be_stopped(model, x):
    lock, waited, shares = threading.Lock(), [], []

    def other():
        while len(waited) < 3:
            with lock:
                waited.append(len(shares))
            time.sleep(0.002)

    def progress(share):
        shares.append(share)
        if len(shares) > 20:
            raise KeyboardInterrupt

    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        attribute(model, x, 2, method="integrated_gradients", steps=400, lock=lock, progress=progress)
    thread.join(10)
    assert not lock.locked()
    assert len(waited) == 3
    assert waited[-1] <= 20, "the other thread only came when the work was over"
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] < 1
    assert hooks(model) == 0


def test_a_pace_gives_the_lock_back_after_an_error():
    lock = threading.Lock()
    with pytest.raises(ZeroDivisionError), Pace(lock):
        1 / lock.locked() - 1 / 0
    assert not lock.locked()


def test_covering_replaces_what_the_mask_covers_and_nothing_else(x):
    mask = torch.zeros(SIDE, SIDE)
    mask[:8] = 1
    for fill in FILLS:
        covered = replaced(x, mask, fill)
        assert torch.equal(covered[..., 8:, :], x[..., 8:, :])
        assert covered[..., :8, :].std() < x[..., :8, :].std() / 2
        torch.testing.assert_close(FILLS[fill](torch.ones_like(x)), torch.ones_like(x))


def test_curves_start_and_end_where_they_must(model, x):
    heat = attribute(model, x, 2, method="saliency")[0]
    whole = model(x).softmax(1)[0, 2].item()
    nothing = model(FILLS["blur"](x)).softmax(1)[0, 2].item()
    for insert, (first, last) in {False: (whole, nothing), True: (nothing, whole)}.items():
        found = curve(model, x, 2, heat, insert=insert, steps=10)
        assert found.probabilities[[0, -1]] == pytest.approx([first, last], abs=1e-5)
        assert found.probabilities.min() <= found.auc <= found.probabilities.max()


def test_curves_know_a_right_map_from_a_wrong_one(x):
    class Bright(nn.Module):
        def forward(self, x):
            return torch.stack([x[:, :, :4, :4].mean((1, 2, 3)) * 20, torch.zeros(len(x))], 1)

    bright = x.clamp(-0.1, 0.1)
    bright[..., :4, :4] = 1
    heat = torch.zeros(SIDE, SIDE)
    heat[:4, :4] = 1
    right, wrong = (curve(Bright(), bright, 0, h, fill="mean").auc for h in (heat, -heat))
    assert right < wrong - 0.2


def test_shuffling_the_network_changes_the_map_and_not_the_network(model, x):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = cascade(model, x, 2, method="saliency")
    assert found.names[:3] == ("nothing", "classify", "stages.3") and found.names[-1] == "stem"
    assert found.similarity[0] == pytest.approx(1)
    assert found.similarity[-1] < 0.9
    assert found.maps.shape == (len(found.names), SIDE, SIDE)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_map_that_ignores_the_network_stays():
    class Edges(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return x.square().mean((1, 2, 3))[:, None].expand(-1, 2) + 0 * self.last(self.first(x[:, 0, 0, :4]))

    found = cascade(Edges(), torch.randn(1, 3, 8, 8), 0, method="saliency")
    assert found.similarity == pytest.approx([1, 1, 1])


def test_ranks_and_their_correlation():
    assert ranks(torch.tensor([3.0, 1.0, 3.0, 7.0]).numpy()).tolist() == [1.5, 0, 1.5, 3]
    a = torch.rand(50, generator=torch.Generator().manual_seed(0))
    assert spearman(a, a.exp()) == pytest.approx(1)
    assert spearman(a, 1 - a) == pytest.approx(-1)
    assert spearman(a, torch.ones(50)) == 0
