"""Batch norm over all processes is that of the whole batch, in mixed precision as well."""

import pytest
import torch
from torch import nn

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
    torch.testing.assert_close(shared.running_var, alone.running_var, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=2e-2)
