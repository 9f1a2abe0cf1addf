"""Batch norm over all processes is that of the whole batch, in mixed precision as well."""

import pytest
import torch
from torch import nn

from lambda_core.models.recompute import Block
from lambda_core.training import norms


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_statistics_are_those_of_the_batch(monkeypatch, kind):
    """3 x 33 x 31 = 3069 pixels, a number that bfloat16 does not have."""
    monkeypatch.setattr(norms, "all_reduce", lambda tensor: tensor)  # one process has the whole batch
    torch.manual_seed(0)
    x = (torch.randn(3, 4, 33, 31) + 20).to(kind)
    alone, shared = nn.BatchNorm2d(4), norms.share_norms(nn.BatchNorm2d(4), torch.device("cpu"))
    expected, found = alone(x.float()), shared(x)
    torch.testing.assert_close(shared.running_mean, alone.running_mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(shared.running_var, alone.running_var, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=2e-2)


def test_a_mean_far_from_zero_leaves_the_spread_its_digits(monkeypatch):
    monkeypatch.setattr(norms, "all_reduce", lambda tensor: tensor)
    torch.manual_seed(0)
    x = 300 + 0.05 * torch.randn(8, 4, 16, 16)
    alone, shared = nn.BatchNorm2d(4).double(), norms.share_norms(nn.BatchNorm2d(4), torch.device("cpu"))
    expected, found = alone(x.double()), shared(x)
    torch.testing.assert_close(shared.running_var.double(), alone.running_var, rtol=1e-4, atol=0)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=2e-3)


def test_the_statistics_of_unequal_parts_are_those_of_the_whole():
    """Gradients as well: those of the mean and the variance reach every part."""
    torch.manual_seed(0)
    x = (torch.randn(7, 4, 5, 5) + 3 * torch.arange(7)[:, None, None, None]).double().requires_grad_()
    parts = [torch.var_mean(part, [0, 2, 3], correction=0) for part in (x[:2], x[2:])]
    counts = torch.tensor([[2 * 25.0], [5 * 25.0]]).double()
    count, mean, var = norms._merged(counts, *(torch.stack([part[place] for part in parts]) for place in (1, 0)))
    expected_var, expected_mean = torch.var_mean(x, [0, 2, 3], correction=0)
    assert count.item() == 7 * 25
    torch.testing.assert_close(mean, expected_mean)
    torch.testing.assert_close(var, expected_var)
    weights = torch.randn(2, 4).double()
    found, expected = (
        torch.autograd.grad((weights[0] * m + weights[1] * v).sum(), x)[0]
        for m, v in ((mean, var), (expected_mean, expected_var))
    )
    torch.testing.assert_close(found, expected)


def test_a_block_that_runs_again_counts_its_statistics_once(monkeypatch):
    monkeypatch.setattr(norms, "all_reduce", lambda tensor: tensor)
    x = torch.randn(8, 4, 6, 6, generator=torch.Generator().manual_seed(0)) + 5

    class Normed(Block):
        def __init__(self):
            super().__init__()
            self.norm, self.recompute = nn.BatchNorm2d(4), True

        def run(self, x):
            return self.norm(x)

    alone, shared = Normed(), norms.share_norms(Normed(), torch.device("cpu"))
    for block in (alone, shared):
        block(x.clone().requires_grad_()).square().sum().backward()
    torch.testing.assert_close(shared.norm.running_mean, alone.norm.running_mean)
    torch.testing.assert_close(shared.norm.running_var, alone.norm.running_var)
    assert shared.norm.num_batches_tracked == alone.norm.num_batches_tracked == 1
