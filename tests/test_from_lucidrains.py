"""lucidrains' lambda layer becomes ours and goes back, with equal outputs."""

import warnings

import pytest
import torch
from lambda_networks import LambdaLayer as TheirLayer
from safetensors.torch import save

from lambda_core import LambdaLayer, build, load_checkpoint
from lambda_core.checkpoints import (
    CheckpointRefused,
    from_lucidrains,
    read_checkpoint,
    to_d_li14,
    to_lucidrains,
    to_timm,
)
from tests.peers import randomize


def layer(**options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its meshgrid call has no indexing argument
        return TheirLayer(**options)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


LAYERS = [
    {"dim": 8, "dim_k": 4, "r": 5},
    {"dim": 8, "dim_k": 3, "r": 3, "dim_u": 3, "heads": 2, "dim_out": 12},
    {"dim": 6, "dim_k": 4, "n": 5, "heads": 2},
    {"dim": 6, "dim_k": 4, "n": 5, "heads": 2, "dim_u": 4, "dim_out": 10},
]


@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_layers_there_and_back(options):
    torch.manual_seed(0)
    theirs = randomize(layer(**options))
    ours = from_lucidrains(theirs)
    assert not ours.training
    x = torch.randn(2, options["dim"], 5, 5)
    expected = theirs.float()(x)
    torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(from_lucidrains(theirs.state_dict())(x), expected, rtol=1e-4, atol=1e-4)

    again = layer(**options).eval()
    again.load_state_dict(to_lucidrains(ours), strict=True)
    assert torch.equal(again(x), expected)


def test_the_order_of_the_slices_matters():
    """With u > 1 a plain copy of the weights would give other outputs: the comparison sees it."""
    torch.manual_seed(0)
    theirs = randomize(layer(dim=8, dim_k=4, r=3, dim_u=2)).float()
    ours = from_lucidrains(theirs)
    ours.to_v.load_state_dict(theirs.to_v.state_dict())
    x = torch.randn(1, 8, 5, 5)
    assert (ours(x) - theirs(x)).abs().max() > 1e-2


def test_mismatches_are_told_key_by_key():
    state = dict(layer(dim=8, dim_k=4, r=3).state_dict())
    del state["norm_v.bias"]
    state["to_k.weight"] = torch.zeros(5, 8, 1, 1)
    with pytest.raises(CheckpointRefused, match=r"lucidrains': missing norm_v\.bias; to_k\.weight is") as caught:
        from_lucidrains(state)
    assert [str(mismatch) for mismatch in caught.value.mismatches] == [
        "missing norm_v.bias",
        "to_k.weight is (5, 8, 1, 1) and should be (4, 8, 1, 1)",
    ]


@pytest.mark.parametrize("remove", ["to_q.weight", "norm_q.weight", "norm_v.weight", "pos_conv.weight"])
def test_weights_without_their_shape_are_refused(remove):
    state = dict(layer(dim=8, dim_k=4, r=3).state_dict())
    del state[remove]
    with pytest.raises(CheckpointRefused):
        from_lucidrains(state)


@pytest.mark.parametrize("options", LAYERS[1:3], ids=str)
def test_a_layer_in_a_file(options, tmp_path):
    torch.manual_seed(0)
    theirs, file = randomize(layer(**options)).float(), tmp_path / "layer.pt"
    torch.save({"state_dict": theirs.state_dict()}, file)
    loaded = load_checkpoint(file)
    x = torch.randn(2, options["dim"], 5, 5)
    torch.testing.assert_close(loaded.model(x), theirs(x), rtol=1e-4, atol=1e-4)
    assert (loaded.classes, dict(loaded.preprocess)) == ((), {})
    assert loaded.card == {"source": "lucidrains/lambda-networks"}


def test_a_layer_in_a_file_is_no_network():
    with pytest.raises(CheckpointRefused, match="one lambda layer of lucidrains/lambda-networks, not a network"):
        read_checkpoint(save(layer(dim=8, dim_k=4, r=3).state_dict()))


def test_keys_that_are_missing_or_odd_are_named():
    state = to_lucidrains(LambdaLayer(32, scope=5))
    with pytest.raises(CheckpointRefused, match=r"do not fit a lambda layer of lucidrains': missing norm_v.weight$"):
        from_lucidrains({key: value for key, value in state.items() if key != "norm_v.weight"})
    with pytest.raises(CheckpointRefused, match=r"^pos_conv.weight is \(3,\) and should be \(k, u, 1, r, r\)$"):
        from_lucidrains(state | {"pos_conv.weight": torch.ones(3)})


@pytest.mark.parametrize("convert", [to_timm, to_lucidrains])
@pytest.mark.parametrize("place", [{"scope": 5, "position_bias": True}, {"scope": None, "size": (4, 4)}], ids=str)
def test_what_is_written_is_a_copy(convert, place):
    layer = LambdaLayer(32, **place)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    for value in convert(layer).values():
        assert value.is_contiguous()
        value.fill_(7)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


@pytest.mark.parametrize(
    ("convert", "name", "layer"),
    [
        (to_timm, "lambda_resnet26t", {}),
        (to_d_li14, "lambda_resnet50", {"position_bias": True, "pool_size": 3}),
    ],
)
def test_a_network_that_is_written_is_a_copy(convert, name, layer):
    model = build(name, num_classes=3, layer=layer)
    places = {value.untyped_storage().data_ptr() for value in model.state_dict().values()}
    assert not places & {value.untyped_storage().data_ptr() for value in convert(model).values()}
