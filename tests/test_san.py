"""The networks of patchwise self-attention."""

import pytest
import torch

from lambda_core.models import SANS, build


@pytest.mark.parametrize("name", SANS)
def test_patchwise_networks(name):
    small = {"depths": (1, 1, 1, 1, 1), "widths": (32, 32, 64, 64, 64), "num_classes": 3}
    torch.manual_seed(0)
    model = build(name, **small)
    y = model(torch.randn(2, 3, 40, 64))
    assert y.shape == (2, 3)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert len(SANS[name].depths) == len(SANS[name].windows)
    with pytest.raises(TypeError, match=f"^{name} has no option 'stages'; there are depths, widths, windows, num_cl"):
        build(name, stages="CCLL")


def test_a_san_has_a_pyramid_too():
    model = build("san10", widths=(32, 64, 64, 128, 128)).eval()
    with torch.no_grad():
        maps = model.forward_pyramid(x := torch.randn(1, 3, 64, 96))
        torch.testing.assert_close(maps["4"], model.forward_features(x))
    shapes = [(1, c, 64 // s, 96 // s) for c, s in zip(model.out_channels, model.out_strides, strict=True)]
    assert [tuple(each.shape) for each in maps.values()] == shapes
