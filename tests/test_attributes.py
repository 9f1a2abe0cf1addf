"""What a layer says of itself, what may be set on it afterwards, and what torch.fx makes of a network."""

import pytest
import torch
from torchvision.models.feature_extraction import create_feature_extractor

from lambda_core import LambdaLayer, LambdaLayer1d, build
from lambda_core.engines.auto import CONSTANTS


@pytest.mark.parametrize("half", ["content", "position"])
def test_a_half_that_was_never_made_cannot_be_switched_on(half):
    layer = LambdaLayer(16, scope=3, **{half: False})
    with pytest.raises(ValueError, match=f"made without its {half} half"):
        setattr(layer, half, True)
    assert getattr(layer, half) is False and f"{half}=False" in repr(layer)
    setattr(layer, half, False)  # as it was
    assert layer(torch.randn(2, 16, 4, 4)).shape == (2, 16, 4, 4)


def test_a_half_is_switched_off_and_on_again():
    layer, x = LambdaLayer(16, scope=3).eval(), torch.randn(1, 16, 4, 4)
    whole, parts = layer(x), []
    for half in ("content", "position"):
        setattr(layer, half, False)
        parts.append(layer(x))
        setattr(layer, half, True)
    torch.testing.assert_close(sum(parts), whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(x), whole, rtol=0, atol=0)


@pytest.mark.parametrize("value", ["no", 1, None])
def test_a_half_is_there_or_not(value):
    with pytest.raises(ValueError, match="content must be True or False"):
        LambdaLayer(16, content=value)


@pytest.mark.parametrize("name", ["position", "norm_qv", "position_bias", "causal"])
@pytest.mark.parametrize("value", ["no", 1, None])
def test_a_flag_is_true_or_false(name, value):
    with pytest.raises(ValueError, match=f"{name} must be True or False, not {value!r}"):
        (LambdaLayer1d if name == "causal" else LambdaLayer)(16, scope=3, **{name: value})


def test_the_longest_sequence_may_stand_in_a_list():
    for size in (9, (9,), [9]):
        layer = LambdaLayer1d(16, scope=None, size=size)
        assert layer.embeddings.shape[-1] == 17 and layer.explain_engine(1, size) == layer.explain_engine(1, 9)


def test_what_needs_positions_says_so():
    layer = LambdaLayer(16, position=False)
    with pytest.raises(ValueError, match="made without its position half"):
        layer.position_lambdas(torch.randn(1, 9, 4, 1), (3, 3))


def test_a_layer_prints_its_weights_and_options_alone():
    network = build("lambda_resnet_micro")
    assert "Tap" not in repr(network) and "(to_q): Conv2d" in repr(network)
    assert "stride=2" in repr(LambdaLayer1d(16, stride=2, size=9, scope=None))


def test_a_context_without_a_position_is_refused():
    layer = LambdaLayer(16, position=False)
    with pytest.raises(ValueError, match=r"must have a position to see, and its shape is \(2, 16, 0, 4\)"):
        layer(torch.randn(2, 16, 4, 4), torch.randn(2, 16, 0, 4))


@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda", 1)])
def test_the_engine_is_explained_for_a_kind_of_device(device):
    layer = LambdaLayer(128)
    assert layer.explain_engine(8, (56, 56), device) == layer.explain_engine(8, (56, 56), "cuda")
    assert layer.explain_engine(8, (56, 56), device) != layer.explain_engine(8, (56, 56), "cpu")


def test_a_device_that_was_not_measured_is_said_to_be_taken_for_another():
    assert "mps" not in CONSTANTS
    assert "on mps, which was not measured and is taken for a CPU" in LambdaLayer(16).explain_engine(1, (8, 8), "mps")
    with pytest.raises(ValueError, match="device must be one that PyTorch knows"):
        LambdaLayer(16).explain_engine(1, (8, 8), "abacus")


@pytest.mark.parametrize("name", ["resnet26", "lambda_resnet_micro"])
def test_torchvision_extracts_features(name):
    """Convolutions are traced; a lambda layer is one node, which it is told."""
    network, images = build(name, num_classes=3).eval(), torch.randn(1, 3, 64, 64)
    extract = create_feature_extractor(network, {"stages.2": "map"}, tracer_kwargs={"leaf_modules": [LambdaLayer]})
    seen = []
    network.stages[2].register_forward_hook(lambda _module, _args, output: seen.append(output))
    network(images)
    torch.testing.assert_close(extract(images)["map"], seen[0])
