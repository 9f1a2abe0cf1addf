"""The end of a network: its classifier, and another in its place."""

import pytest
import torch

from lambda_core.models import build


@pytest.mark.parametrize("name", ["lambda_resnet_micro", "san10"])
def test_a_classifier_gives_way_to_another(name):
    model = build(name, num_classes=3).double().eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    features = model.forward_features(x)
    torch.testing.assert_close(model(x), model.forward_head(features))
    pooled = model.forward_head(features, pre_logits=True)
    assert pooled.shape == (2, model.num_features) and model.get_classifier()(pooled).shape == (2, 3)
    model.reset_classifier(5)
    assert model(x).shape == (2, 5) and model.num_classes == model.config.num_classes == 5
    model.reset_classifier(0)
    torch.testing.assert_close(model(x), pooled)
    with pytest.raises(ValueError, match="at least 0, for no classifier, not -2"):
        model.reset_classifier(-2)
