"""Values that float16 holds, and a sum over positions that it does not: 200 steps of training, and a peer's layer."""

import warnings

import lambda_networks
import pytest
import torch
from torch import Tensor, nn

from lambda_core import LambdaLayer
from lambda_core.engines import ENGINES

STEPS = 200
LARGEST = torch.finfo(torch.float16).max


def prepared(layer: nn.Module, embeddings: nn.Parameter) -> nn.Module:
    """Embeddings of a few hundred and queries as small, so that outputs are about 1 and position lambdas about 1e5."""
    with torch.no_grad():
        embeddings.copy_(500 * torch.rand(embeddings.shape, generator=torch.Generator().manual_seed(0)))
        layer.norm_v.bias.fill_(4.0)
        layer.norm_q.weight.fill_(2.0**-18)
    for parameter in layer.parameters():
        assert float(parameter.detach().abs().max()) < LARGEST / 100
    return layer


def ours(engine: str) -> nn.Module:
    torch.manual_seed(0)
    layer = LambdaLayer(16, dim_k=4, scope=15, engine=engine)
    return prepared(layer, layer.embeddings)


def theirs() -> nn.Module:
    torch.manual_seed(0)
    layer = lambda_networks.LambdaLayer(16, dim_k=4, r=15)
    return prepared(layer, layer.pos_conv.weight)


def losses(layer: nn.Module, dtype: torch.dtype) -> Tensor:
    """The loss of each step, up to the first that is not a number; each parameter moves by its own size."""
    torch.manual_seed(1)
    x, target = torch.randn(2, 16, 9, 9), torch.randn(2, 16, 9, 9)
    groups = [{"params": [p], "lr": 0.003 * float(p.detach().abs().mean())} for p in layer.parameters()]
    optimizer = torch.optim.Adam(groups)
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype):
            y = layer(x)
        loss = (y.float() - target).square().mean()
        loss.backward()
        optimizer.step()
        found.append(loss.detach())
        if not loss.isfinite():
            break
    return torch.stack(found)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_hundred_steps_without_nan(engine):
    found = losses(ours(engine), torch.float16)
    assert len(found) == STEPS
    assert found.isfinite().all()
    assert found[-10:].mean() < found[:10].mean()


def test_a_peer_does_not_train_on_the_same_values():
    """The control: lucidrains' layer keeps its lambdas in float16. Over the range of float32 the same values train."""
    warnings.simplefilter("ignore")  # its einsum of infinities
    assert not losses(theirs(), torch.float16).isfinite().all()
    found = losses(theirs(), torch.bfloat16)  # the range of float32
    assert len(found) == STEPS
    assert found.isfinite().all()


def test_normed_queries_keep_the_type_of_autocast(monkeypatch):
    """Softmax under autocast gives float32 on a GPU, as it does here; on a CPU it gives the type that it gets."""
    softmax = Tensor.softmax
    monkeypatch.setattr(Tensor, "softmax", lambda x, dim: softmax(x, dim).float())
    layer = LambdaLayer(8, scope=3, key_norm="softmax_keys_queries")
    seen = []
    layer.q.register_forward_hook(lambda _module, _args, q: seen.append(q.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(torch.randn(1, 8, 4, 4))
    assert [*seen, y.dtype] == [torch.bfloat16, torch.bfloat16]
