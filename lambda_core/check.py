"""Check this device against the definition: python -m lambda_core.check [--device cuda] [--json FILE]

Every engine in every precision, output and gradients, against `einsum` in float64; every layer, plain and under
autocast, against itself in float64 on the CPU; two hundred steps of mixed precision. Prints what it found, the largest
relative error of each, and ends with status 1 if one is too large.
"""

import argparse
import copy
import sys
from datetime import date
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lambda_core.arguments import DEVICE, command, device_name, print_in_utf8, usable_device, writable, write_json
from lambda_core.benchmark.precision import full_float32
from lambda_core.engines import ENGINES
from lambda_core.engines.proof import PARTS, TOLERANCES, answers, error
from lambda_core.layers import LAYERS, LambdaLayer
from lambda_core.models import build

# (b, h, k, v, u, table, size): odd and oblong maps, scopes below and above the map, intra-depth, a global scope.
PROBLEMS = (
    (2, 3, 5, 3, 2, (5, 3), (4, 7)),
    (3, 4, 16, 16, 1, (23, 23), (28, 20)),
    (2, 4, 16, 32, 1, (7, 7), (21, 30)),
    (2, 2, 8, 16, 1, (63, 63), (32, 32)),
    (4, 8, 16, 16, 4, (3, 3), (14, 14)),
    (2, 4, 16, 128, 1, (23, 23), (7, 7)),
)
STEPS = 200


def engines(device: torch.device) -> list[dict[str, Any]]:
    """A row for each engine and type: the largest relative error over all problems, and where it is."""
    rows: dict[tuple[str, torch.dtype], dict[str, Any]] = {}
    reference = torch.device("cpu") if device.type == "mps" else device
    for problem in PROBLEMS:
        b, h, k, values, u, table, size = problem
        n = size[0] * size[1]
        shapes = (b, h, n, k), (b, n, values, u), (k, u, *table), (b, k, values)
        drawn, dy = [torch.randn(shape) for shape in shapes], torch.randn(b, h, n, values)
        for dtype, limit in TOLERANCES.items():
            if dtype == torch.float64 and device.type == "mps":  # which has none
                continue
            narrow = [t.to(device, dtype) for t in drawn]
            *exact, dy_exact = (t.to(reference, dtype).double() for t in (*drawn, dy))
            expected = answers("einsum", exact, size, dy_exact)
            for name in ENGINES:
                found = answers(name, narrow, size, dy.to(device, dtype))
                errors = {part: error(a, b) for part, a, b in zip(PARTS, found, expected, strict=True)}
                worst = max(errors, key=lambda part: errors[part])
                row = {
                    "engine": name, "type": str(dtype).removeprefix("torch."), "error": errors[worst],
                    "limit": limit, "where": f"{worst} of {problem}",
                }  # fmt: skip
                rows[name, dtype] = max(rows.get((name, dtype), row), row, key=lambda each: each["error"])
    return list(rows.values())


def _layer(layer: nn.Module, x: Tensor, dy: Tensor, dtype: torch.dtype | None = None) -> list[Tensor]:
    x = x.to(next(layer.parameters())).requires_grad_()
    with torch.autocast(x.device.type, dtype, enabled=dtype is not None):
        y = layer(x)
    return [y, *torch.autograd.grad(y, [x, *layer.parameters()], dy.to(y))]


def layers(device: torch.device) -> list[dict[str, Any]]:
    """A row for each letter of `LAYERS` and type: output and gradients against float64 on the CPU."""
    rows = []
    for letter, kind in LAYERS.items():
        torch.manual_seed(0)
        layer = kind(32, 32, stride=2).double()
        x, dy = torch.randn(4, 32, 14, 12), torch.randn(4, 32, 7, 6)
        expected = _layer(copy.deepcopy(layer), x.double(), dy.double())
        there = copy.deepcopy(layer).float().to(device)
        for dtype in (None, torch.bfloat16, torch.float16):
            found = _layer(copy.deepcopy(there), x.to(device), dy.to(device), dtype)
            # Under autocast a gradient may round twice, and a batch norm makes small gradients of large ones.
            limit = TOLERANCES[dtype or torch.float32] * (1 if dtype is None else 5)
            rows.append({
                "layer": letter, "type": str(dtype or torch.float32).removeprefix("torch."),
                "error": error(found[0], expected[0]), "gradient_error": error(
                    torch.cat([g.flatten().cpu().double() for g in found[1:]]),
                    torch.cat([g.flatten() for g in expected[1:]]),
                ), "limit": limit,
            })  # fmt: skip
    return rows


def _large(layer: LambdaLayer) -> None:
    """Embeddings of a few hundred and queries as small: outputs are about 1, and lambdas leave the range of float16."""
    assert layer.embeddings is not None
    with torch.no_grad():
        layer.embeddings.uniform_(0, 500)
        layer.norm_v.get_parameter("bias").fill_(4.0)
        layer.norm_q.get_parameter("weight").fill_(2.0**-18)


def _subject(name: str) -> tuple[nn.Module, tuple[int, ...], Tensor]:
    """A layer with that engine, or the network of that name; the shape of its input; what it shall give."""
    if name in ENGINES:
        layer = LambdaLayer(16, dim_k=4, scope=15, engine=name)
        _large(layer)
        return layer, (2, 16, 9, 9), torch.randn(2, 16, 9, 9)
    return build(name, num_classes=10), (16, 3, 64, 64), torch.arange(16) % 10


def training(device: torch.device) -> list[dict[str, Any]]:
    """A row for each engine and type: a layer with lambdas beyond float16, and a network, in mixed precision."""
    rows = []
    for dtype in (torch.bfloat16, torch.float16):
        for name in (*ENGINES, "lambda_resnet_micro"):
            torch.manual_seed(0)
            model, shape, target = _subject(name)
            model, target = model.to(device), target.to(device)
            # Parameters of very different size move by their own.
            groups = [{"params": [p], "lr": 0.003 * float(p.detach().abs().mean())} for p in model.parameters()]
            if name not in ENGINES:
                groups = [{"params": list(model.parameters()), "lr": 1e-3}]
            optimizer, x = torch.optim.AdamW(groups, weight_decay=0), torch.randn(shape, device=device)
            scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16 and device.type == "cuda")
            losses = []
            for _ in range(STEPS):
                optimizer.zero_grad()
                with torch.autocast(device.type, dtype):
                    y = model(x).float()
                    loss = F.cross_entropy(y, target) if y.dim() == 2 else F.mse_loss(y, target)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                losses.append(loss.detach())
            found = torch.stack(losses).cpu()
            rows.append({
                "model": name, "type": str(dtype).removeprefix("torch."), "steps": STEPS,
                "finite": bool(found.isfinite().all()), "first": float(found[0]), "last": float(found[-1]),
            })  # fmt: skip
    return rows


def failures(report: dict[str, Any]) -> list[str]:
    """What is too far off, in words."""
    found = []
    for row in report["engines"] + report["layers"]:
        worst = max(row["error"], row.get("gradient_error", 0.0))
        if not worst <= row["limit"]:
            what = row.get("engine") or f"layer {row['layer']}"
            found.append(f"{what} in {row['type']} is off by {worst:.1e}, allowed are {row['limit']:.0e}")
    found += [
        f"{row['model']} in {row['type']} does not train: its loss goes from {row['first']:.3g} to {row['last']:.3g}"
        for row in report["training"]
        if not (row["finite"] and row["last"] < row["first"])
    ]
    return found


def run(device: torch.device) -> dict[str, Any]:
    """All three parts."""
    torch.manual_seed(0)
    with full_float32():
        return {"engines": engines(device), "layers": layers(device), "training": training(device)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    best = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", type=usable_device, default=best, help=DEVICE)
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the figures here")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    report = {
        "command": command("python -m lambda_core.check", ["--device", options.device]),
        "device": device_name(device),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
        **run(device),
    }
    for row in report["engines"]:
        print(f"{row['engine']:12} {row['type']:9} {row['error']:.1e}  ({row['where']})")
    for row in report["layers"]:
        print(f"layer {row['layer']} {row['type']:14} output {row['error']:.1e}  gradients {row['gradient_error']:.1e}")
    for row in report["training"]:
        print(f"{row['model']:20} {row['type']:9} loss {row['first']:.3g} to {row['last']:.3g} in {row['steps']} steps")
    if options.json:
        write_json(options.json, report)
    if wrong := failures(report):
        sys.exit("\n".join(wrong))
    print(f"all within the limits on {report['device']}")


if __name__ == "__main__":
    print_in_utf8()
    main()
