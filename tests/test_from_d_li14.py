"""d-li14's lambda ResNets become ours and go back, with equal outputs.

The project is not published as a package. What stands here is written from its description for this comparison: a plain
network with its names of weights, and the lambda of every position formed by a 3d convolution.
"""

import io
from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lambda_core import build
from lambda_core.checkpoints import CheckpointRefused, Mismatch, from_d_li14, read_checkpoint, to_d_li14
from lambda_core.checkpoints.from_d_li14 import D_LI14_FILES

K, HEADS, SCOPE = 16, 4, 23


class TheirLayer(nn.Module):
    def __init__(self, dim, stride):
        super().__init__()
        v = dim // HEADS
        self.conv_qkv = nn.Conv2d(dim, HEADS * K + K + v, 1, bias=False)
        self.norm_q, self.norm_v = nn.BatchNorm2d(HEADS * K), nn.BatchNorm2d(v)
        self.lambda_conv = nn.Conv3d(1, K, (1, SCOPE, SCOPE), padding=(0, SCOPE // 2, SCOPE // 2))
        self.stride = stride

    def forward(self, x):
        b, dim, height, width = x.shape
        q, k, v = self.conv_qkv(x).split([HEADS * K, K, dim // HEADS], 1)
        q, v = self.norm_q(q).view(b, HEADS, K, -1), self.norm_v(v)
        content = torch.einsum("bkm,bvm->bkv", k.flatten(2).softmax(-1), v.flatten(2))
        lambdas = self.lambda_conv(v[:, None]).flatten(3) + content[..., None]  # (b, k, v, n)
        y = torch.einsum("bhkn,bkvn->bhvn", q, lambdas).reshape(b, dim, height, width)
        return y if self.stride == 1 else F.avg_pool2d(y, 3, self.stride, 1)


class TheirBlock(nn.Module):
    def __init__(self, dim, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(dim, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = TheirLayer(width, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = nn.Identity()
        if dim != 4 * width or stride > 1:
            strided = nn.Conv2d(dim, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(strided, nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


class TheirNetwork(nn.Module):
    def __init__(self, depths, classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        dim = 64
        for number, depth in enumerate(depths, start=1):
            width, stage = 32 * 2**number, OrderedDict()
            for block in range(depth):
                stage[str(block)] = TheirBlock(dim, width, 2 if number > 1 and block == 0 else 1)
                dim = 4 * width
            setattr(self, f"layer{number}", nn.Sequential(stage))
        self.fc = nn.Linear(dim, classes)

    def forward(self, x):
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean((2, 3)))


def network(depths, classes=7):
    """Random weights and statistics, of small scales, so that the outputs stay near 1."""
    torch.manual_seed(0)
    model = TheirNetwork(depths, classes).eval()
    for key, value in model.state_dict().items():
        if value.is_floating_point() and value.dim() == 1:
            value.normal_({"running_var": 1.0, "weight": 0.5}.get(key.rpartition(".")[2], 0.0), 0.1)
    return model


@pytest.fixture(scope="module")
def theirs():
    return network((1, 1, 1, 1))


def agree(ours, theirs, sides=(64, 64), within=1e-4):
    x = torch.randn(1, 3, *sides)
    with torch.inference_mode():
        expected = theirs(x)
        assert 0.05 < expected.std() < 20
        torch.testing.assert_close(ours(x), expected, rtol=within, atol=within)


@pytest.mark.parametrize("depths", [(1, 1, 1, 1), (1, 2, 1, 1)])
def test_networks_there_and_back(depths):
    model = network(depths)
    ours = from_d_li14(model.state_dict())
    agree(ours, model)
    assert ours.config.depths == depths
    again = TheirNetwork(depths, 7).eval()
    again.load_state_dict(to_d_li14(ours), strict=True)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("depths", "name"),
    [((2, 2, 2, 2), "lambda_resnet26"), ((3, 4, 6, 3), "lambda_resnet50"), ((3, 4, 23, 3), "lambda_resnet101")],
)
def test_every_depth_has_its_name(depths, name):
    """The whole translation on the meta device: each key and shape of the deep networks, no weights."""
    with torch.device("meta"):
        state = TheirNetwork(depths, 1000).state_dict()
    weights, architecture = D_LI14_FILES.translate(state)
    assert architecture["name"] == name
    with torch.device("meta"):
        expected = build(name, **architecture["overrides"]).state_dict()
    assert {key: value.shape for key, value in weights.items()} == {k: v.shape for k, v in expected.items()}


def test_the_published_network_has_its_parameters():
    """14.995 M in the project's table, and of the paper's Lambda-ResNet-50 without its 16 biases of 16 numbers."""
    with torch.device("meta"):
        assert sum(p.numel() for p in TheirNetwork((3, 4, 6, 3), 1000).parameters()) == 14_995_592 + 16 * 16


def test_the_pooling_window_matters(theirs):
    """Odd maps of other sides, where a window of 2 would see other positions; and it would be noticed."""
    agree(from_d_li14(theirs), theirs, sides=(70, 90))
    wrong = from_d_li14(theirs)
    wrong.stages[1][0].mix.pool = nn.AvgPool2d(2, ceil_mode=True)
    with pytest.raises(AssertionError, match="not close"):
        agree(wrong, theirs)


def test_a_training_checkpoint_in_a_file(theirs):
    """As it was written: an old .pth with the state of the training beside the weights, each key after "module."."""
    weights = {f"module.{key}": value for key, value in theirs.state_dict().items()}
    buffer = io.BytesIO()
    content = {"epoch": 130, "state_dict": weights, "best_prec1": torch.tensor(78.2), "optimizer": {"state": {}}}
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    loaded = read_checkpoint(buffer.getvalue())
    agree(loaded.model, theirs)
    assert loaded.card["source"] == "d-li14/lambda.pytorch"
    assert (loaded.preprocess["size"], loaded.preprocess["crop"]) == (224, 0.875)
    assert len(loaded.classes) == 7


def test_mismatches_are_told_key_by_key(theirs):
    state = dict(theirs.state_dict())
    del state["layer2.0.bn2.bias"]
    state["layer4.0.conv2.lambda_conv.weight"] = torch.zeros(16, 1, 1, 7, 7)
    with pytest.raises(CheckpointRefused, match="do not fit a lambda ResNet of d-li14's: missing layer2") as caught:
        from_d_li14(state)
    assert caught.value.mismatches == (
        Mismatch("layer2.0.bn2.bias", None, (128,)),
        Mismatch("layer4.0.conv2.lambda_conv.weight", (16, 1, 1, 7, 7), (16, 1, 1, 23, 23)),
    )


@pytest.mark.parametrize("state", [{}, {"fc.weight": torch.zeros(2, 2)}, {"conv2.conv_qkv.weight": torch.zeros(2)}])
def test_other_weights_are_refused(state):
    with pytest.raises(CheckpointRefused):
        from_d_li14(state)


@pytest.mark.parametrize("options", [{"strides": (1, 2, 2, 1)}, {"pool": False}, {"act": "silu"}], ids=str)
def test_networks_that_would_compute_something_else_there(options):
    model = build("lambda_resnet26", layer={"position_bias": True, "pool_size": 3}, **options)
    with pytest.raises(ValueError, match="another activation, stride or pooling"):
        to_d_li14(model)


@pytest.mark.parametrize(
    ("name", "options"),
    [("hybrid_resnet26", {}), ("lambda_resnet26", {"position_bias": True}), ("lambda_resnet_mini", {})],
)
def test_networks_that_lambda_pytorch_has_not(name, options):
    with pytest.raises(ValueError, match=r"has no network of this shape|averages over 3 x 3|no place there"):
        to_d_li14(build(name, **options))
