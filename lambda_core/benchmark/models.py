"""Whole networks: a training step and inference of LambdaResNet-50 beside those of ResNet-50."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import partial
from typing import Any

import torch
from torch import nn

from lambda_core.arguments import device_name
from lambda_core.benchmark import parity
from lambda_core.benchmark.contest import compiled_name
from lambda_core.benchmark.measuring import release
from lambda_core.benchmark.peers import check_safe, peer
from lambda_core.benchmark.race import WHAT, Race
from lambda_core.layers.lambda_layer import LambdaLayer
from lambda_core.models import build
from lambda_core.tables.figures import published

BASE = "ResNet-50"
NETWORKS = {BASE: "CCCC", "LambdaResNet-50 CCLL": "CCLL", "LambdaResNet-50 LLLL": "LLLL"}
ALL = {BASE: "CCCC"} | {f"LambdaResNet-50 {stages}": stages for stages in ("CCCL", "CCLL", "CLLL", "LLLL")}


def paper() -> dict[str, Any]:
    """The paper's examples a second of each network over those of its ResNet-50, from its table "placement"."""
    rows = {row["row"]: row["throughput"] for row in published()["tables"]["placement"]["rows"]}
    relative = {name: rows[stages] / rows["CCCC"] for name, stages in ALL.items()}
    return {"source": f"{published()['source']} Table: placement.", "relative_throughput": relative}


def with_peers(name: str, network: nn.Module) -> nn.Module:
    """The network with every lambda layer made by a peer, pooled behind it where ours pools."""
    for path, layer in list(network.named_modules()):
        if isinstance(layer, LambdaLayer):
            parent, _, child = path.rpartition(".")
            unpooled = copy(layer)
            unpooled.stride = 1
            setattr(network.get_submodule(parent), child, nn.Sequential(peer(name, unpooled), layer.pool))
    return network


def _made_by(name: str, precision: str, device: torch.device) -> nn.Module:
    """LambdaResNet-50 with that peer's layers. Raises Wrong if it scores small pictures otherwise than ours."""
    check_safe(name, precision, device, 23, 7)
    network = build("lambda_resnet50", stages="LLLL")
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(x)
        theirs = with_peers(name, network)
        parity.refuse(f"the network of {name}", [theirs(x)], [expected], "float32")
    return theirs


def compare(
    batch: int,
    side: int,
    repeats: int,
    peers: Iterable[str],
    device: torch.device,
    *,
    networks: Mapping[str, str] = NETWORKS,
    precision: str = "float32",
    compile_too: bool = False,
) -> dict[str, Any]:
    """Milliseconds and peak memory of forward and backward, milliseconds of inference, and what ResNet-50 takes.

    to_resnet50: the time of a step over that of ResNet-50. relative_throughput: the inverse, for step and inference;
    a compiled network is compared with the compiled ResNet-50. On a CPU networks take turns; on CUDA one is built,
    timed and deleted before the next, since not all have room together.
    """
    torch.manual_seed(0)
    race = Race(batch, side, repeats, device, precision)
    makers: dict[str, Callable[[], nn.Module]] = {
        name: partial(build, "lambda_resnet50", stages=stages) for name, stages in networks.items()
    }
    makers |= {f"LambdaResNet-50 LLLL, {name}": partial(_made_by, name, precision, device) for name in peers}
    for names in [[name] for name in makers] if device.type == "cuda" else [list(makers)]:
        group = race.built({name: makers[name] for name in names})
        race.run(group)
        if compile_too:
            race.run_compiled(group)
        del group
        release(device)
    found = {"batch": batch, "side": side, **_figures(race, batch), "failed": race.reasons(), "paper": paper()}
    return found | {"paper_rows": paper_rows(found, f"{device_name(device)}, {precision}")}


def paper_rows(found: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Examples a second of a training step, for `lambda_core.tables` to put beside the paper's. where: device, type."""
    data = f"{where}, {found['side']} px, batch {found['batch']}"
    return [
        {"table": "placement", "row": ALL[name], "metric": "throughput", "value": round(speed), "data": data}
        for name, speed in found["images_per_second"]["step"].items()
        if name in ALL and speed is not None
    ]


def _figures(race: Race, batch: int) -> dict[str, Any]:
    """A number for every network that was asked for, None for one that could not run."""
    times = {what: {name: race.times[what].get(name) for name in race.names} for what in WHAT}
    found: dict[str, Any] = {**times, "images_per_second": {}, "relative_throughput": {}}
    for what in ("step", "inference"):
        each = times[what]
        found["images_per_second"][what] = {name: 1e3 * batch / time if time else None for name, time in each.items()}
        found["relative_throughput"][what] = {name: _over(each.get(_base(name)), each[name]) for name in race.names}
    found["to_resnet50"] = {name: _over(times["step"][name], times["step"].get(_base(name))) for name in race.names}
    return found


def _base(name: str) -> str:
    return compiled_name(BASE) if name.endswith(compiled_name("")) else BASE


def _over(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None
