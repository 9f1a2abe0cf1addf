"""Networks by name: exact parameter counts of the paper's tables, stage strings, and errors that help."""

import pytest
import torch

from lambda_core.layers import Convolution, LambdaLayer
from lambda_core.models import FAMILY, build, config_of
from lambda_core.models.config import layer_options, parse_stages


def parameters(name, **overrides):
    with torch.device("meta"):
        return sum(p.numel() for p in build(name, **overrides).parameters())


def test_exact_counts():
    assert parameters("lambda_resnet50") == 14_995_592
    assert parameters("resnet50") == 25_557_032


PLACEMENT = {
    "CCCC": 25.557, "LCCC": 25.491, "LLCC": 24.993, "LLLC": 21.727,
    "LLLL": 14.996, "CLLL": 15.062, "CCLL": 15.560, "CCCL": 18.825,
}  # fmt: skip


@pytest.mark.parametrize(("stages", "millions"), PLACEMENT.items())
def test_placement_table(stages, millions):
    assert parameters("resnet50", stages=stages) / 1e6 == pytest.approx(millions, abs=5e-4)


EXACT_KHU = {
    (4, 4, 1): 14.666, (8, 4, 1): 14.776, (16, 4, 1): 14.996, (32, 4, 1): 15.435, (8, 8, 1): 14.740,
    (16, 8, 1): 15.081, (8, 8, 4): 15.262, (8, 8, 8): 16.040, (16, 4, 4): 16.040, (32, 8, 1): 15.764,
}  # fmt: skip
# Rows that the paper prints otherwise, known to two decimals.
ERRATA = {(8, 2, 1): 15.03, (8, 16, 1): 14.90, (2, 4, 1): 14.61, (2, 8, 1): 14.48, (4, 8, 1): 14.57}
KHU = EXACT_KHU | ERRATA


@pytest.mark.parametrize(("khu", "millions"), KHU.items(), ids=str)
def test_khu_table(khu, millions):
    k, h, u = khu
    found = parameters("lambda_resnet50", dim_k=k, heads=h, dim_u=u, scope=23 if u == 1 else 7) / 1e6
    assert found == pytest.approx(millions, abs=6e-4 if khu in EXACT_KHU else 6e-3)


@pytest.mark.parametrize(
    ("options", "millions"), [({"position": False}, 14.860), ({"content": False}, 14.935), ({}, 14.996)], ids=str
)
def test_content_and_position_table(options, millions):
    assert parameters("lambda_resnet50", **options) / 1e6 == pytest.approx(millions, abs=5e-4)


STEM_D = {"stem": ((3, 32, 2), (3, 32, 1), (3, 64, 1), (3, 64, 2)), "pool": False}


@pytest.mark.parametrize(("name", "millions"), [("resnet101", 44.605), ("resnet152", 60.249)])
def test_large_resnets(name, millions):
    assert parameters(name, **STEM_D) / 1e6 == pytest.approx(millions, abs=5e-4)


@pytest.mark.parametrize(
    ("stages", "letters"),
    [
        ("CCLL", ["CCC", "CCCC", "LLLLLL", "LLL"]),
        ("C-C-CL-L", ["CCC", "CCCC", "CLCLCL", "LLL"]),
        ("CCL-CL-CCLCCL-L", ["CCL", "CLCL", "CCLCCL", "LLL"]),
    ],
)
def test_stage_strings(stages, letters):
    assert parse_stages(stages, (3, 4, 6, 3)) == letters


def test_stages_place_their_layers():
    with torch.device("meta"):
        model = build("resnet50", stages="C-C-CL-L", dim_k=8)
    kinds = ["".join("L" if isinstance(block.mix, LambdaLayer) else "C" for block in stage) for stage in model.stages]
    assert kinds == ["CCC", "CCCC", "CLCLCL", "LLL"]
    assert model.stages[3][0].mix.dim_k == 8
    assert isinstance(model.stages[0][0].mix, Convolution)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("CCL", r"^stages='CCL' names 3 stages, but this network has 4$"),
        ("", r"^stages='' names 0 stages, but this network has 4$"),
        (
            "CCQL",
            r"^stages='CCQL' has the unknown letter 'Q' in stage 3; there are C \(Convolution\), L \(LambdaLayer\)",
        ),
        ("C-C--L", r"^stages='C-C--L' has no letter in stage 3; there are C"),
        ("C-C-CCCL-L", r"^stages='C-C-CCCL-L' has 4 letters for the 6 blocks of stage 3$"),
    ],
)
def test_bad_stage_strings(stages, message):
    with pytest.raises(ValueError, match=message):
        build("resnet50", stages=stages)


def test_unknown_names_and_options():
    with pytest.raises(ValueError, match=r"^no network is called 'resnet51'; there are resnet26, resnet50, .*lambda_"):
        build("resnet51")
    with pytest.raises(ValueError, match="no network is called 'lambda_lambda_resnet50'"):
        build("lambda_lambda_resnet50")
    with pytest.raises(TypeError, match=r"^no lambda layer has the option 'dimk'; there are content, dim_k, dim_u, "):
        build("lambda_resnet50", dimk=8)
    with pytest.raises(TypeError, match="no lambda layer has the option 'stride'"):
        build("resnet50", stride=2)
    with pytest.raises(ValueError, match=r"^layer has options for stage 5, but the stages are numbered 1 to 4$"):
        build("lambda_resnet50", layer={5: {"dim_k": 8}})


def test_layer_options_by_stage():
    layer = {"scope": 11, 3: {"scope": 7}, "4": {"dim_k": 8}}
    found = [layer_options(layer, stage, 4) for stage in (1, 2, 3, 4)]
    assert found == [{"scope": 11}, {"scope": 11}, {"scope": 7}, {"scope": 11, "dim_k": 8}]
    config = config_of("lambda_resnet_mini", layer={3: {"heads": 8}}, dim_k=4)
    assert config.layer == {"scope": 11, 3: {"heads": 8}, "dim_k": 4}
    assert FAMILY["lambda_resnet_mini"].layer == {"scope": 11}


def test_a_global_network_has_a_size_a_stage():
    """A strided block runs its lambda layer before the pooling, so a stage sees the map of the one before it."""
    sizes = {stage: {"size": (side, side)} for stage, side in enumerate((16, 16, 8, 4), start=1)}
    model = build("lambda_resnet26", scope=None, layer=sizes, widths=(8, 8, 8, 8), num_classes=2)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 2)


@pytest.mark.parametrize("name", [name for name, config in FAMILY.items() if sum(config.depths) <= 16])
def test_every_network_builds_and_runs(name):
    """Of the deeper ones, which differ in depth alone, the counts below are enough."""
    small = {"num_classes": 5, "widths": (16, 16, 16, 16), "dim_k": 2, "scope": 3}
    model = build(name, **small).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 33, 40)).shape == (1, 5)
        features = model.forward_features(torch.randn(1, 3, 64, 64))
    assert features.shape[:2] == (1, model.num_features)


def test_num_classes_zero_gives_features():
    model = build("lambda_resnet_mini", num_classes=0).eval()
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, model.num_features)


def test_a_network_starts_as_its_shortcuts_and_trains():
    torch.manual_seed(0)
    model = build("lambda_resnet_mini", num_classes=3)
    assert all((block.norm3.weight == 0).all() for stage in model.stages for block in stage)
    loss = torch.nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_state_dict_names_of_a_network():
    keys = set(build("lambda_resnet_mini", num_classes=3).state_dict())
    block = "stages.2.0"
    for part in ("reduce.weight", "norm1.weight", "norm2.bias", "expand.weight", "norm3.running_mean"):
        assert f"{block}.{part}" in keys
    for part in ("to_q.weight", "to_k.weight", "to_v.weight", "norm_q.weight", "norm_v.weight", "embeddings"):
        assert f"{block}.mix.{part}" in keys
    assert {"stem.0.weight", "stages.1.0.mix.weight", f"{block}.shortcut.0.weight", "classify.bias"} <= keys


@pytest.mark.parametrize(
    ("name", "count"),
    [("lambda_resnet26t", 10_958_272), ("lambda_resnet26rpt_256", 10_988_688), ("lambda_resnet50ts", 21_536_832)],
)
def test_the_networks_of_timm_have_its_counts(name, count):
    """The counts that timm's models report."""
    assert parameters(name) == count


def test_a_block_may_have_options_of_its_own():
    layer = {"scope": 3, "4": {"scope": 5, "2": {"scope": 7}}}  # numbers as JSON has them
    with torch.device("meta"):
        model = build("resnet26", stages="CCLL", layer=layer)
    assert [block.mix.scope for stage in model.stages[2:] for block in stage] == [3, 3, 5, 7]
    with pytest.raises(ValueError, match="block 3, but the blocks are numbered 1 to 2"):
        build("resnet26", stages="CCLL", layer={4: {3: {"scope": 5}}})
    with pytest.raises(TypeError, match="no lambda layer has the option 'scop'"):
        build("resnet26", stages="CCLL", layer={4: {2: {"scop": 5}}})


def test_the_activation_is_everywhere():
    with torch.device("meta"):
        model = build("resnet26", act="silu")
    acts = {type(m) for m in model.modules()} & {torch.nn.ReLU, torch.nn.SiLU}
    assert acts == {torch.nn.SiLU}
    with pytest.raises(ValueError, match="act must be one of relu, silu"):
        build("resnet26", act="gelu")
