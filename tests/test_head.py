"""The end of a network: its classifier, and another in its place."""

import pytest
import torch

from lambda_core.models import build
from lambda_core.training.optimizing import parameter_groups


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


@pytest.mark.parametrize("name", ["lambda_resnet_micro", "san10"])
def test_checkpointed_blocks_give_the_same_gradients_and_statistics(name):
    torch.manual_seed(0)
    model = build(name, num_classes=3).double().train()
    for parameter in model.parameters():  # a norm that starts at zero would hide its block
        torch.nn.init.normal_(parameter, std=0.1)
    state, x = {n: t.clone() for n, t in model.state_dict().items()}, torch.randn(2, 3, 32, 32, dtype=torch.float64)
    results, stored = [], []
    for enable in (False, True, False):
        model.load_state_dict(state)
        model.zero_grad()
        model.set_grad_checkpointing(enable)
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, k=kept: (k.append(t.numel()), t)[1], lambda t: t):
            loss = model(x).square().sum()
        loss.backward()
        stored.append(sum(kept))
        results.append({n: p.grad for n, p in model.named_parameters()} | dict(model.named_buffers()))
    for again in results[1:]:
        for key, value in results[0].items():
            torch.testing.assert_close(again[key], value)
    assert stored[1] < stored[0] / 2 and stored[2] == stored[0]


def test_checkpointed_blocks_may_be_asked_twice_and_compiled():
    model = build("lambda_resnet_micro", num_classes=3).train()
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    model.set_grad_checkpointing()
    scores = model(x).sum(0)
    once, again = (torch.autograd.grad(scores[0], x, retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(once, again)
    assert all(int(n) == 1 for name, n in model.named_buffers() if name.endswith("num_batches_tracked"))
    with torch.no_grad():
        model.eval()(x)
    compiled = torch.compile(model.train(), backend="eager")
    compiled(x).sum().backward()


@pytest.mark.parametrize("name", ["lambda_resnet_micro", "san10"])
def test_images_may_have_other_channels(name):
    model = build(name, in_chans=5, num_classes=3).eval()
    assert model(torch.randn(1, 5, 32, 32)).shape == (1, 3)
    assert model.config.in_chans == 5
    for wrong in (0, "3", None):
        with pytest.raises(ValueError, match="in_chans must be a whole number of at least 1, as 3 for colours, not "):
            build(name, in_chans=wrong)


def test_timm_s_optimizers_leave_position_embeddings_alone():
    from timm.optim import param_groups_weight_decay

    model = build("lambda_resnet_micro", num_classes=3)
    groups = param_groups_weight_decay(model, 0.1, no_weight_decay_list=model.no_weight_decay())
    ours = parameter_groups(model, 0.1)
    by_decay = [{g["weight_decay"]: {id(p) for p in g["params"]} for g in found} for found in (groups, ours)]
    assert by_decay[0] == by_decay[1] and model.no_weight_decay()
    assert all(name.endswith(".mix.embeddings") for name in model.no_weight_decay())
