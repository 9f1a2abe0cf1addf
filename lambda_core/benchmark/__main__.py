"""Measure lambda layers and networks: python -m lambda_core.benchmark layers | global | models [--json FILE]

layers: LambdaResNet-50's four stages, r = 23, and each engine's distance from the limits of this machine. global: a
layer of global scope on a 48 x 48 map, and how time grows with the map. models: a training step of whole networks.
Every answer is compared with the definition before any time is taken. Ratios are to the better of the peers.
"""

import argparse
import json
import sys
from datetime import date
from typing import Any

import torch

from lambda_core.allocator import keep_memory
from lambda_core.arguments import writable
from lambda_core.benchmark import layers, models
from lambda_core.benchmark.measuring import device_name
from lambda_core.benchmark.peers import PEERS, installed


def _print_rows(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(f"d={row['d']}, {row['side']} x {row['side']}, batch {row['batch']}, engine {row['engine']}")
        for what, unit in (("step", "ms"), ("inference", "ms"), ("memory", "MiB")):
            each = "  ".join(f"{name} {value:.1f}" for name, value in row[what].items())
            ratio = f"  ratio {row['ratio'][what]:.2f}" if what in row["ratio"] else ""
            print(f"  {what:10} {each} {unit}{ratio}", flush=True)


def _layers(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    rows = []
    for width, side in layers.STAGES:
        rows.append(layers.compare(width, side, options.batch or 8, 23, options.repeats, device))
        _print_rows(rows[-1:])
    found: dict[str, Any] = {"stages": rows, "summary": layers.summary(rows)}
    for what, each in found["summary"].items():
        print(f"{what}: {each['mean']:.2f} in geometric mean, {each['worst']:.2f} at the worst stage")
    limits = found["limits"] = layers.distances(options.batch or 8, options.repeats, device)
    rate, bandwidth = limits["multiply_adds_per_second"], limits["bytes_per_second"]
    print(f"this machine: {rate / 1e9:.1f} G multiply-adds/s, {bandwidth / 1e9:.1f} GB/s")
    for row in limits["engines"]:
        times = (
            f"{row['ms']:8.2f} ms forward, {row['ms'] / row['least_ms']:5.1f} x the limit of {row['least_ms']:.2f} ms"
        )
        print(f"  {row['side']:2} x {row['side']:2} {row['engine']:12}{times}")
    return found


def _global(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    row = layers.compare(64, 48, options.batch or 2, None, options.repeats, device)
    _print_rows([row])
    found: dict[str, Any] = {"layer": row, "growth": layers.growth(options.repeats, device)}
    for each in found["growth"]:
        times = ", ".join(f"{name} {value:.1f} ms" for name, value in each["ms"].items())
        print(f"  {each['side']:3} x {each['side']:3}: {times}; fft holds {each['mib']:.1f} MiB; auto: {each['auto']}")
    return found


def _models(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    peers = installed() if options.peers else []
    found = models.compare(options.batch or 4, 224, options.repeats, peers, device)
    for name, time in found["step"].items():
        print(f"{name}: {time:.0f} ms, {found['to_resnet50'][name]:.2f} x ResNet-50, {found['memory'][name]:.0f} MiB")
    return found


WHAT = {"layers": _layers, "global": _global, "models": _models}


def _without_json(arguments: list[str]) -> list[str]:
    """Where the figures were written is no part of how they were measured."""
    pairs = zip(["", *arguments], arguments, strict=False)
    return [each for before, each in pairs if before != "--json" and not each.startswith("--json")]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--json", type=writable, help="write the figures here")
    parser.add_argument("--threads", type=int, help="CPU threads (default: as torch has it)")
    parser.add_argument("--batch", type=int, help="examples (default: 8 for layers, 2 for global, 4 for models)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--peers", action="store_true", help="models: also networks made of the peers' layers, slow")
    parser.add_argument("--note", help="what a reader of the figures should know, kept with them")
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(given)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    missing = sorted(set(PEERS) - set(installed()))
    if missing:
        print(f"not installed, so not compared: {', '.join(missing)}")
    found = {
        "command": " ".join(["python -m lambda_core.benchmark", *_without_json(given)]),
        "device": device_name(device),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
        **({"note": options.note} if options.note else {}),
        **WHAT[options.what](options, device),
    }
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    keep_memory()
    main()
