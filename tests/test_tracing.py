"""Names, shapes and values of traced tensors; taps that leave no trace themselves."""

import copy

import pytest
import torch
from torch import nn

from lambda_core.layers import LambdaLayer, LambdaLayer1d
from lambda_core.models import build
from lambda_core.tracing import Tap, trace

NAMES = {
    "input", "q", "k", "keys", "v", "content_lambda", "position_lambda", "content_output", "position_output", "output",
}  # fmt: skip


def layer(**options):
    torch.manual_seed(0)
    return LambdaLayer(6, 8, **{"dim_k": 3, "heads": 2, "dim_u": 2, "scope": 3, **options}).eval()


def hooks(module):
    return sum(len(part._forward_hooks) for part in module.modules())


def test_names_and_shapes_of_a_layer():
    seen = trace(layer(stride=2), torch.randn(2, 6, 5, 4))
    assert {name: tuple(value.shape) for name, value in seen.items()} == {
        "input": (2, 6, 5, 4),
        "q": (2, 2, 20, 3),
        "k": (2, 20, 3, 2),
        "keys": (2, 20, 3, 2),
        "v": (2, 20, 4, 2),
        "content_lambda": (2, 3, 4),
        "position_lambda": (2, 20, 3, 4),
        "content_output": (2, 2, 20, 4),
        "position_output": (2, 2, 20, 4),
        "output": (2, 8, 3, 2),
    }
    assert set(seen) == NAMES
    assert not any(value.requires_grad for value in seen.values())


def test_context_and_mask_are_passed_on():
    mixing = layer(dim_context=4, position=False)
    x, context = torch.randn(2, 6, 5, 4), torch.randn(2, 4, 3, 3)
    mask = torch.ones(2, 3, 3, dtype=torch.bool)
    mask[:, 0, 0] = False
    seen = trace(mixing, x, context, mask=mask)
    assert torch.equal(seen["output"], mixing(x, context, mask))
    assert not seen["keys"][:, 0].any() and seen["keys"][:, 1:].all()


def test_halves_that_are_off_have_no_names():
    x = torch.randn(1, 6, 4, 4)
    assert NAMES - set(trace(layer(content=False), x)) == {"k", "keys", "content_lambda", "content_output"}
    assert NAMES - set(trace(layer(position=False), x)) == {"position_lambda", "position_output"}


def test_values_fit_together():
    module, x = layer(stride=2), torch.randn(2, 6, 5, 4)
    seen = trace(module, x)
    torch.testing.assert_close(seen["keys"], seen["k"].softmax(1))
    torch.testing.assert_close(seen["content_lambda"], torch.einsum("bmku,bmvu->bkv", seen["keys"], seen["v"]))
    torch.testing.assert_close(
        seen["content_output"], torch.einsum("bhnk,bkv->bhnv", seen["q"], seen["content_lambda"])
    )
    position = torch.einsum("bhnk,bnkv->bhnv", seen["q"], seen["position_lambda"])
    torch.testing.assert_close(seen["position_output"], position)
    before_pool = (seen["content_output"] + seen["position_output"]).transpose(2, 3).reshape(2, 8, 5, 4)
    torch.testing.assert_close(module.pool(before_pool), seen["output"])
    torch.testing.assert_close(seen["output"], module(x))  # untraced, both halves are one sum
    assert torch.equal(seen["input"], x)


def test_names_in_a_model_are_paths():
    model = build("lambda_resnet_mini", num_classes=3).eval()
    x = torch.randn(1, 3, 32, 32)
    seen = trace(model, x)
    blocks = [f"stages.{stage}.{block}.mix" for stage in (2, 3) for block in (0, 1)]
    assert set(seen) == {f"{block}.{name}" for block in blocks for name in NAMES} | {"output"}
    assert torch.equal(seen["output"], model(x))
    assert all(isinstance(model.get_submodule(name), Tap) for name in set(seen) - {"output"})
    mix = model.get_submodule("stages.2.0.mix")
    torch.testing.assert_close(mix(seen["stages.2.0.mix.input"]), seen["stages.2.0.mix.output"])


def test_taps_hold_no_state_and_copy():
    module, x = layer(), torch.randn(1, 6, 4, 4)
    assert not Tap().state_dict()
    assert set(module.state_dict()).isdisjoint(NAMES)
    twin = copy.deepcopy(module)
    torch.testing.assert_close(trace(twin, x)["output"], module(x))
    assert hooks(module) == hooks(twin) == 0


def test_hooks_go_away_also_after_an_error():
    module = layer()
    own = module.q.register_forward_hook(lambda *_: None)
    trace(module, torch.randn(1, 6, 4, 4))
    with pytest.raises(ValueError, match="takes"):
        trace(module, torch.randn(1, 5, 4, 4))
    with pytest.raises(RuntimeError):
        trace(nn.Sequential(module, nn.Conv2d(3, 3, 1)), torch.randn(1, 6, 4, 4))
    assert hooks(module) == 1
    own.remove()


def test_mode_and_grad_mode_stay():
    module = layer().train()
    seen = trace(module, torch.randn(1, 6, 4, 4))
    assert module.training
    assert torch.is_grad_enabled()
    assert not seen["output"].requires_grad


def test_position_lambdas_are_made_only_when_watched(monkeypatch):
    calls = []
    original = LambdaLayer.position_lambdas
    monkeypatch.setattr(LambdaLayer, "position_lambdas", lambda *args: calls.append(1) or original(*args))
    module, x = layer(), torch.randn(1, 6, 4, 4)
    module(x)
    assert not calls
    trace(module, x)
    assert len(calls) == 1


def test_a_layer_that_works_in_place_spoils_nothing():
    module, x = layer(), torch.randn(1, 6, 4, 4)
    seen = trace(nn.Sequential(module, nn.ReLU(inplace=True)), x)
    torch.testing.assert_close(seen["0.output"], module(x))
    assert (seen["0.output"] < 0).any()
    assert (seen["output"] >= 0).all()


def test_outputs_that_are_no_tensor():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = layer()

        def forward(self, images):
            return [self.mix(image) for image in images]

    seen = trace(Pair().eval(), [torch.randn(1, 6, 4, 4), torch.randn(1, 6, 3, 3)])
    assert set(seen) == {f"mix.{name}" for name in NAMES}
    assert seen["mix.input"].shape == (1, 6, 3, 3)


def test_a_compiled_module_is_traced_under_its_own_names():
    torch._dynamo.reset()
    module, x = layer(), torch.randn(1, 6, 4, 4)
    compiled = torch.compile(module, backend="eager", fullgraph=True, dynamic=False)
    torch.testing.assert_close(compiled(x), module(x))
    assert set(trace(compiled, x)) == NAMES
    assert set(trace(nn.Sequential(compiled), x)) == {f"0.{name}" for name in NAMES} | {"output"}
    torch.testing.assert_close(compiled(x), module(x))


def test_gradients_flow_through_taps():
    """What Captum does: a hook on a tap that sees activation and gradient."""
    module, x = layer(), torch.randn(1, 6, 4, 4)
    kept, grads = [], []

    def hook(_module, _args, output):
        kept.append(output)
        output.register_hook(grads.append)

    handle = module.content_output.register_forward_hook(hook)
    module(x).sum().backward()
    handle.remove()
    assert kept[0].shape == (1, 2, 16, 4)
    # the output is the sum of both halves, so that of each has the gradient of the output: ones, but for the layout
    assert torch.equal(grads[0], torch.ones_like(kept[0]))


@pytest.mark.parametrize("name", ["keys", "content_lambda", "position_lambda", "content_output", "position_output"])
@pytest.mark.parametrize("kind", ["forward_pre_hook", "forward_hook", "full_backward_hook", "full_backward_pre_hook"])
@pytest.mark.parametrize("causal", [False, True])
def test_every_kind_of_hook_finds_every_tap(name, kind, causal):
    module, x = layer(), torch.randn(1, 6, 4, 4, requires_grad=True)
    if causal:
        module, x = LambdaLayer1d(6, dim_k=3, heads=2, scope=3, causal=True).eval(), torch.randn(1, 6, 9)
    calls, expected = [], module(x)
    handle = getattr(getattr(module, name), f"register_{kind}")(lambda *_: calls.append(1))
    y = module(x)
    y.sum().backward()
    handle.remove()
    torch.testing.assert_close(y, expected)
    # the keys of a causal layer are made for the trace alone
    assert len(calls) == (0 if causal and name == "keys" and "backward" in kind else 1)


def test_a_hook_may_replace_either_lambda():
    module, x = layer(), torch.randn(1, 6, 4, 4)
    for name, other in (("position_lambda", "content"), ("content_lambda", "position")):
        handle = getattr(module, name).register_forward_hook(lambda _module, _args, output: torch.zeros_like(output))
        found = module(x)
        handle.remove()
        alone = layer(**{half: half == other for half in ("content", "position")})
        alone.load_state_dict({key: value for key, value in module.state_dict().items() if key in alone.state_dict()})
        torch.testing.assert_close(found, alone(x))


def test_hooks_on_all_modules_change_nothing_that_is_computed(monkeypatch):
    """PyTorch's FLOP counter has such hooks, and would count what nobody asked for."""
    monkeypatch.setattr(LambdaLayer, "position_lambdas", lambda *_: pytest.fail("made for nobody"))
    handle = nn.modules.module.register_module_forward_pre_hook(lambda *_: None)
    layer()(torch.randn(1, 6, 4, 4))
    handle.remove()
