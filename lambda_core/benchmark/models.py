"""Whole networks: a training step of LambdaResNet-50 beside that of ResNet-50."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lambda_core.benchmark.measuring import milliseconds, peak_bytes
from lambda_core.benchmark.peers import peer
from lambda_core.layers.lambda_layer import LambdaLayer
from lambda_core.models import build

NETWORKS = {"ResNet-50": "CCCC", "LambdaResNet-50 CCLL": "CCLL", "LambdaResNet-50 LLLL": "LLLL"}


def with_peers(name: str, network: nn.Module) -> nn.Module:
    """The network with every lambda layer made by a peer, pooled behind it where ours pools."""
    for path, layer in list(network.named_modules()):
        if isinstance(layer, LambdaLayer):
            parent, _, child = path.rpartition(".")
            setattr(network.get_submodule(parent), child, nn.Sequential(peer(name, layer), layer.pool))
    return network


def compare(batch: int, side: int, repeats: int, peers: list[str], device: torch.device) -> dict[str, Any]:
    """Milliseconds and peak memory of forward and backward, and the ratio to ResNet-50."""
    torch.manual_seed(0)
    networks: dict[str, nn.Module] = {
        name: build("lambda_resnet50", stages=stages).to(device) for name, stages in NETWORKS.items()
    }
    for name in peers:
        networks[f"LambdaResNet-50 LLLL, {name}"] = with_peers(name, build("lambda_resnet50", stages="LLLL")).to(device)
    x = torch.randn(batch, 3, side, side, device=device)
    labels = torch.zeros(batch, dtype=torch.long, device=device)

    def step(network: nn.Module) -> None:
        torch.autograd.grad(F.cross_entropy(network(x), labels), [p for p in network.parameters() if p.requires_grad])

    steps = {name: partial(step, network) for name, network in networks.items()}
    times = milliseconds(steps, repeats, device)
    base = times["ResNet-50"]
    return {
        "batch": batch,
        "side": side,
        "step": times,
        "to_resnet50": {name: time / base for name, time in times.items()},
        "memory": {name: peak_bytes(run, device) / 2**20 for name, run in steps.items()},
    }
