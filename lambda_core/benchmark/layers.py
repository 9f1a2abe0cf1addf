"""The four stages of LambdaResNet-50, and a global layer: ours beside others'."""

from typing import Any

import torch
from torch import nn

from lambda_core.benchmark.contest import WHAT, Contest, compiled_name
from lambda_core.benchmark.measuring import mean, release, tolerated
from lambda_core.benchmark.peers import check_safe, installed, peer
from lambda_core.engines.auto import select
from lambda_core.layers import GlobalAttention, LambdaLayer

STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))  # d, side
ATTENTION = "attention (SDPA with relative bias)"


def compare(
    width: int,
    side: int,
    batch: int,
    scope: int | None,
    repeats: int,
    device: torch.device,
    *,
    precision: str = "float32",
    compiled: bool = False,
    attention: bool = False,
) -> dict[str, Any]:
    """Step, inference (eval mode, no gradient) and peak memory of ours and of the peers that are installed.

    ratio: the better peer's to ours, not compiled; ratio_compiled: the same of the better of compiled and not.
    attention: also self-attention over the same map, another function and so in no ratio.
    """
    torch.manual_seed(0)
    ours = LambdaLayer(width, scope=scope, size=None if scope else (side, side)).to(device)
    x = torch.randn(batch, width, side, side, device=device)
    peers = installed()
    contest = Contest(["ours", *peers], x, torch.randn_like(x), precision)
    layers: dict[str, nn.Module] = {"ours": ours}
    for name in peers:
        with tolerated(name, contest.failed["parity"]):
            check_safe(name, precision, device, scope, side)
            layers[name] = peer(name, ours)
    layers = contest.prove(ours, layers)
    contest.run(layers, repeats)
    if compiled:
        contest.run_compiled(ours, layers, repeats)
    if attention:
        contest.names.append(ATTENTION)
        contest.run({ATTENTION: _attention(width, side).to(device)}, repeats)
    engine = select(*ours.shapes(batch, (side, side)), (side, side), device.type)
    row = {"d": width, "side": side, "batch": batch, "scope": scope, "engine": engine, **contest.row()}
    row["ratio"] = _ratios(row, ["ours"], peers)
    if compiled:
        both = [[*names, *map(compiled_name, names)] for names in (["ours"], peers)]
        row["ratio_compiled"] = _ratios(row, *both)
    del contest, layers
    release(device)
    return row


def _attention(width: int, side: int) -> nn.Module:
    """Eight heads, or as many as have 16 channels each."""
    return GlobalAttention(width, heads=max(1, min(8, width // 16)), size=(side, side))


def _ratios(row: dict[str, Any], ours: list[str], theirs: list[str]) -> dict[str, float]:
    """Their best to our best, where both have run."""
    found = {}
    for what in WHAT:
        mine, others = ([t for name in names if (t := row[what].get(name)) is not None] for names in (ours, theirs))
        if mine and others:
            found[what] = min(others) / min(mine)
    return found


def summary(rows: list[dict[str, Any]], key: str = "ratio") -> dict[str, dict[str, float]]:
    """Geometric mean and worst of the ratios to the better peer: times as speed-up, memory as theirs over ours.

    stages: how many had a peer that could run.
    """
    found = {}
    for what in WHAT:
        if ratios := [row[key][what] for row in rows if what in row[key]]:
            found[what] = {"mean": mean(ratios), "worst": min(ratios), "stages": len(ratios)}
    return found
