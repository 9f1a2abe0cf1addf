"""Footprints: what autograd finds is what the window allows, and their size is that of the whole Jacobian."""

import pytest
import torch

from lambda_core import LambdaLayer, load_checkpoint
from lambda_core import footprint as footprint_module
from lambda_core.engines import ENGINES
from lambda_core.footprint import (
    _unit,
    _watched,
    directions,
    footprint,
    footprints,
    implied_weights,
    principal,
    receptive_field,
)
from lambda_core.models import build
from lambda_core.surgery import cropped_scope
from lambda_core.tracing import trace

LAYERS = {
    "plain": {"scope": 3},
    "intra_depth": {"scope": 3, "dim_u": 2},
    "strided": {"scope": 5, "stride": 2},
    "bias": {"scope": 3, "position_bias": True},
    "position_only": {"scope": 3, "content": False},
    "global": {"scope": None, "size": (6, 5)},
}


def randomised(**options):
    torch.manual_seed(1)
    layer = LambdaLayer(8, **{"heads": 2, "dim_k": 4, **options}).eval()
    torch.nn.init.normal_(layer.embeddings)
    return layer


def window(n, r, size=(6, 5)):
    y, x = torch.arange(size[0])[:, None], torch.arange(size[1])
    return ((y - n // size[1]).abs() <= r // 2) & ((x - n % size[1]).abs() <= r // 2)


@pytest.mark.parametrize("n", [0, 13, 29])
@pytest.mark.parametrize("name", LAYERS)
def test_the_position_half_ends_with_the_window(name, n):
    layer = randomised(**LAYERS[name])
    x = torch.randn(1, 8, 6, 5)
    model = torch.nn.Sequential(torch.nn.Identity(), layer).eval()
    for crop in (99, 3):
        with cropped_scope(model, crop):
            maps = footprints(model, x, "1", n, head=1, part="position")
        r = min(crop, layer.scope or 99)
        assert torch.equal(maps["layer"] > 0, window(n, r))
        torch.testing.assert_close(maps["image"], maps["layer"])  # nothing lies between the two here
    if layer.content:
        maps = footprints(model, x, "1", n, head=1, part="both")
        assert (maps["layer"] > 0).all()


@pytest.mark.parametrize("part", ["position", "content", "both"])
def test_the_size_is_that_of_the_whole_jacobian(part):
    layer = randomised(scope=3)
    x = torch.randn(1, 8, 6, 5)
    n, head = 13, 1

    def unit(x):
        y = {name: tensor[0, head, n] for name, tensor in outputs(layer, x).items()}
        return y[part] if part in y else y["position"] + y["content"]

    jacobian = torch.autograd.functional.jacobian(unit, x)  # (v, 1, 8, 6, 5)
    maps = footprints(torch.nn.Sequential(layer).eval(), x, "0", n, head, part)
    torch.testing.assert_close(maps["layer"], jacobian[:, 0].square().sum((0, 1)).sqrt())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in layer.modules())
    assert layer.engine == "auto" and layer.to_q.weight.grad is None


def test_the_network_runs_no_further_than_the_layer():
    def reached(*_):
        raise AssertionError("ran on")

    layer = randomised(scope=3)
    network = torch.nn.Sequential(layer, torch.nn.Identity()).eval()
    network[1].register_forward_hook(reached)
    layer.position_lambda.register_forward_hook(reached)
    assert footprints(network, torch.randn(1, 8, 6, 5), "0", 13, 1)["layer"].sum() > 0


@pytest.mark.parametrize("options", [*LAYERS.values(), {"scope": 3, "key_norm": "softmax_keys_queries"}])
def test_the_unit_is_the_output_of_the_layer(options):
    layer, x = randomised(**options), torch.randn(1, 8, 6, 5)
    if layer.position_bias is not None:
        torch.nn.init.normal_(layer.position_bias)
    halves, n, head = outputs(layer, x), 13, 1
    with torch.no_grad(), _watched(layer, "input", "q", "keys", "v") as seen:
        layer(x)
        for part, names in {"position": ["position"], "content": ["content"], "both": [*halves]}.items():
            expected = [halves[name][0, head, n] for name in names if name in halves]
            unit = _unit(layer, seen, n, head, part)
            if not expected:
                assert unit is None
            else:
                torch.testing.assert_close(unit, sum(expected).detach())


def outputs(layer, x):
    found = {}
    handles = [
        layer.get_submodule(f"{half}_output").register_forward_hook(
            lambda _m, _a, y, half=half: found.update({half: y})
        )
        for half in ("position", "content")
    ]
    layer(x)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_rounding_of_other_engines_is_no_footprint(engine):
    layer = randomised(scope=3, engine=engine)
    maps = footprints(torch.nn.Sequential(layer).eval(), torch.randn(1, 8, 6, 5), "0", 13, 1, "position")
    assert torch.equal(maps["layer"] > 0, window(13, 3))


@pytest.mark.parametrize(
    "options", [*LAYERS.values(), {"scope": 3, "heads": 4}], ids=[*LAYERS, "more heads than values"]
)
def test_implied_weights_are_queries_times_embeddings(options):
    layer = randomised(**options)
    x = torch.randn(1, 8, 6, 5)
    q, v = trace(layer, x)["q"], trace(layer, x)["v"]
    for n in (0, 13, 29):
        weights = implied_weights(layer, x, n).flatten(1)  # (h, m)
        rows, columns = layer.embeddings.shape[-2:]
        for m in range(30):
            dy, dx = m // 5 - n // 5 + rows // 2, m % 5 - n % 5 + columns // 2
            inside = 0 <= dy < rows and 0 <= dx < columns
            expected = q[0, :, n] @ layer.embeddings[:, :, dy, dx].sum(1) if inside else torch.zeros(layer.heads)
            torch.testing.assert_close(weights[:, m], expected.detach())
        if layer.dim_u == 1 and layer.position_bias is None:
            torch.testing.assert_close(weights @ v[0, :, :, 0], trace(layer, x)["position_output"][0, :, n])


def test_a_layer_without_a_position_part_has_no_weights_and_a_footprint_everywhere():
    layer = LambdaLayer(8, heads=2, dim_k=4, position=False).eval()
    x = torch.randn(1, 8, 4, 4)
    assert implied_weights(layer, x, 5).abs().max() == 0
    model = torch.nn.Sequential(layer).eval()
    assert (footprints(model, x, "0", 5, 0, "both")["layer"] > 0).all()
    assert footprints(model, x, "0", 5, 0, "position")["layer"].abs().max() == 0


def test_principal_directions_are_exact_where_few_hold_everything():
    torch.manual_seed(0)
    slopes = torch.randn(12, 3) @ torch.randn(3, 50)  # of rank 3
    for limit in (3, 5, 12):
        ways = principal(slopes, limit)
        assert len(ways) == limit
        torch.testing.assert_close((ways @ slopes).square().sum(0), slopes.square().sum(0))
    assert torch.equal(principal(slopes, 12), torch.eye(12))
    full = torch.randn(12, 50)
    ways = principal(full, 4)
    torch.testing.assert_close((ways @ full).square().sum(), full.square().sum())  # what is left out is made up for
    assert principal(torch.zeros(12, 50), 4).isfinite().all()


def test_six_principal_directions_see_the_picture_at_least_as_well_as_eight_random_ones():
    model, path = load_checkpoint("lambda_resnet_mini").model, "stages.2.0.mix"
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def image(limit):
        return footprints(model, x, path, 27, 0, "both", (32, limit))["image"]

    def error(found):
        return float((found - image(32)).norm() / image(32).norm())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footprint_module, "principal", lambda slopes, limit: directions(len(slopes), limit))
        random = error(image(8))
    assert error(image(6)) < random < 0.5


def test_few_directions_have_the_right_size_on_average():
    ways = directions(5, 8)
    assert torch.equal(ways, torch.eye(5))
    ways = directions(48, 12)
    torch.testing.assert_close(ways @ ways.T, torch.eye(12) * 4, rtol=0, atol=1e-5)
    vector = torch.randn(48)
    sums = torch.stack([(directions(48, 12, seed) @ vector).square().sum() for seed in range(400)])
    assert sums.mean() == pytest.approx(float(vector.square().sum()), rel=0.1)


def test_a_receptive_field_grows_with_depth_and_a_lambda_layer_opens_it():
    torch.manual_seed(0)
    model = build("lambda_resnet_mini", num_classes=3).eval()
    for module in model.modules():  # a fresh block is its shortcut: give the branches a say
        if hasattr(module, "norm3"):
            torch.nn.init.ones_(module.norm3.weight)
    x = torch.randn(1, 3, 64, 64)
    fields = receptive_field(model, x, ["stages.2.0.mix", "stem", "stages.1"], limit=2)
    reached = {path: float((field > 0).float().mean()) for path, field in fields.items()}
    assert reached["stem"] < reached["stages.1"] < 0.9 < reached["stages.2.0.mix"]
    assert fields["stem"].shape == (64, 64)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_footprint_of_what_does_not_depend_is_zero():
    source = torch.randn(1, 3, 4, 4, requires_grad=True)
    other = torch.randn(2, requires_grad=True)
    assert footprint(other * 2, source).abs().max() == 0


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="position, content, both"):
        footprints(torch.nn.Sequential(randomised(scope=3)), torch.randn(1, 8, 6, 5), "0", 0, 0, "half")


@pytest.mark.parametrize("path", ["1", "nowhere"])
def test_what_is_no_lambda_layer_is_refused(path):
    network = torch.nn.Sequential(randomised(scope=3), torch.nn.ReLU())
    with pytest.raises(ValueError, match=f"^'{path}' is no lambda layer of this network: 0$"):
        footprints(network, torch.randn(1, 8, 6, 5), path, 0, 0)
