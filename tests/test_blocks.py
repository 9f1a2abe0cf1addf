"""The bottleneck block: that of other libraries, and its shortcut at the start and in training."""

import pytest
import timm
import torch
import torchvision

from lambda_core.models import build
from tests.peers import randomize


@pytest.mark.parametrize("name", ["resnet50", "se_resnet50"])
def test_blocks_are_those_of_torchvision_and_timm(name):
    """The same weights in the order in which they are made give the same scores."""
    ours = randomize(build(name, num_classes=7)).float()
    make = torchvision.models.resnet50 if name == "resnet50" else timm.models.resnet.seresnet50
    theirs = make(num_classes=7)
    rest = dict(theirs.named_parameters()) | dict(theirs.named_buffers())
    # theirs makes the shortcut of a block last as ours does, but its names are sorted otherwise
    keys = sorted(ours.state_dict(), key=lambda key: "shortcut" in key)
    other = sorted(theirs.state_dict(), key=lambda key: "downsample" in key)
    with torch.no_grad():
        for mine, its in zip(keys, other, strict=True):
            rest[its].copy_(ours.state_dict()[mine].view_as(rest[its]))
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-4)


def test_a_network_starts_as_its_shortcuts_and_trains():
    torch.manual_seed(0)
    model = build("lambda_resnet_mini", num_classes=3)
    assert all((block.norm3.weight == 0).all() for stage in model.stages for block in stage)
    loss = torch.nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_drop_path_grows_and_leaves_shortcuts():
    torch.manual_seed(0)
    model = build("resnet26", depths=(1, 2, 1, 1), widths=(8,) * 4, num_classes=2, drop_path=0.4)
    shares = [getattr(block.drop_path, "p", 0.0) for stage in model.stages for block in stage]
    assert shares == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    block, x = model.stages[1][1], torch.randn(400, 32, 2, 2).relu()
    with torch.no_grad():
        block.norm3.weight.fill_(1)
        skipped = (block(x) == x).flatten(1).all(1).float().mean()
        assert skipped == pytest.approx(0.2, abs=0.08)
        assert not (block.eval()(x) == x).flatten(1).all(1).any()
    with pytest.raises(ValueError, match=r"^drop_path must be at least 0 and below 1, not 1$"):
        build("resnet26", drop_path=1)
