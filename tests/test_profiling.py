"""A network profiled row by row: its layers, what they share, and that it is left alone."""

import pytest
import torch
from torch import nn

from lambda_core import build, trace
from lambda_core.cost import profile
from tests.test_cost import WITHIN_LAMBDA


def test_a_row_for_each_layer_of_a_network():
    with torch.device("meta"):
        model = build("resnet50", stages="CCLL")
    cost = profile(model, (160, 128), batch=2)
    rows = {row.path: row for row in cost.rows}
    mix = rows["stages.2.0.mix"]
    assert (mix.kind, mix.output) == ("LambdaLayer", (256, 10, 8))
    assert [t.name for t in mix.flops] == [
        "to_q", "to_k", "to_v", "content lambda", "position lambda", WITHIN_LAMBDA,
    ]  # fmt: skip
    assert {t.name: t.formula for t in mix.params}["embeddings"] == "k·u·r²"
    assert not any(row.path.startswith("stages.2.0.mix.") for row in cost.rows)
    block = cost.under("stages.2.0")
    assert 0 < block.flops < cost.under("stages.2").flops < cost.flops == cost.under("").flops
    with pytest.raises(KeyError, match=r"no row under 'stages\.9'; near it are stages\."):
        cost.under("stages.9")
    assert cost.activations == 2 * profile(model, (160, 128)).activations


def test_profiling_leaves_a_model_alone():
    model = build("lambda_resnet_mini", num_classes=3).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen = []
    model.stages[2][0].mix.q.register_forward_hook(lambda *_: seen.append(1))
    profile(model, 64)
    assert not seen and model.training and len(model.stem[0]._forward_hooks) == 0
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert "stages.2.0.mix.q" in trace(model.eval(), torch.randn(1, 3, 32, 32))


def test_what_has_no_formula_is_said():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3, 1, 1))
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(x * self.scale)

    cost = profile(nn.Sequential(Scale()), 4)
    assert cost.uncounted == ("0",)
    assert (cost.params, cost.flops) == (3 + 12, 2 * 16 * 9)


def test_a_module_with_two_paths_counts_each_of_its_passes_once():
    shared = nn.Conv2d(4, 4, 3, padding=1)
    flat = profile(nn.Sequential(shared, shared), 8, channels=4)
    nested = profile(nn.Sequential(nn.Sequential(shared), nn.Sequential(shared)), 8, channels=4)
    assert nested.flops == flat.flops == 2 * profile(nn.Sequential(shared), 8, channels=4).flops
    assert nested.params == flat.params


def test_a_shared_parameter_counts_once():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    cost = profile(model, (), channels=4)
    assert cost.params == 16 + 8
    assert str(cost.rows[1].params[0]) == "weight, shared with 0: 0·d·c = 0·4·4 = 0"
    twice = nn.Linear(4, 4)
    assert profile(nn.Sequential(twice, twice), (), channels=4).flops == 2 * 2 * 16
