"""Measure lambda layers and networks: python -m lambda_core.benchmark layers | global | models [--json FILE]

layers: LambdaResNet-50's four stages, r = 23, and each engine's distance from the limits of this machine. global: a
layer of global scope on a 48 x 48 map, and how time grows with the map. models: a training step and inference of whole
networks. Every answer is compared before any time is taken: of layers, engines and networks made of the peers' layers.
Ratios are to the better of the peers. On CUDA products of float32 run as in training, float32_matmul_precision "high".
"""

import argparse
from datetime import date
from typing import Any

import torch

from lambda_core.allocator import keep_memory
from lambda_core.arguments import DEVICE, command, device_name, positive, timed_device, writable, write_json
from lambda_core.benchmark import engines, layers, models, report
from lambda_core.benchmark.peers import PEERS, installed
from lambda_core.benchmark.precision import PRECISIONS, prepare, versions


def _compare(width: int, side: int, scope: int | None, options: argparse.Namespace, batch: int) -> dict[str, Any]:
    row = layers.compare(
        width, side, options.batch or batch, scope, options.repeats, torch.device(options.device),
        precision=options.precision, compiled=options.compile, attention=options.attention,
    )  # fmt: skip
    print(report.layer(row), flush=True)
    return row


def _layers(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    rows = [_compare(width, side, 23, options, 8) for width, side in layers.STAGES]
    found: dict[str, Any] = {"stages": rows, "summary": layers.summary(rows)}
    if options.compile:
        found["summary_compiled"] = layers.summary(rows, "ratio_compiled")
    found["limits"] = engines.distances(layers.STAGES, options.batch or 8, options.repeats, device, options.precision)
    print(report.engines(found["limits"]))
    print(report.layers(rows))
    for key in ("summary", "summary_compiled"):
        for what, each in found.get(key, {}).items():
            of = "" if each["stages"] == len(rows) else f", of {each['stages']} stages that a peer could run"
            mean, worst = f"{each['mean']:.2f} in geometric mean", f"{each['worst']:.2f} at the worst stage"
            print(f"{what}{', compiled' * (key != 'summary')}: {mean}, {worst}{of}")
    return found


def _global(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    row = _compare(64, 48, None, options, 2)
    found: dict[str, Any] = {"layer": row, "growth": engines.growth(options.repeats, device, options.precision)}
    for each in found["growth"]:
        times = ", ".join(f"{name} {value:.1f} ms" for name, value in each["ms"].items())
        print(f"  {each['side']:3} x {each['side']:3}: {times}; fft holds {each['mib']:.1f} MiB; auto: {each['auto']}")
    return found


def _models(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    networks = models.ALL if options.all or device.type == "cuda" else models.NETWORKS
    if options.stages:
        networks = {name: each for name, each in models.ALL.items() if name == models.BASE or each in options.stages}
    found = models.compare(
        options.batch or 4, 224, options.repeats, installed() if options.peers else [], device,
        networks=networks, precision=options.precision, compile_too=options.compile,
    )  # fmt: skip
    print(report.models(found))
    return found


WHAT = {"layers": _layers, "global": _global, "models": _models}
READ_BY = {"attention": ("layers", "global"), "peers": ("models",), "all": ("models",), "stages": ("models",)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=WHAT, help="what is measured, see above")
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the figures there")
    parser.add_argument("--threads", type=positive, help="CPU threads (default: as torch has it)")
    parser.add_argument("--batch", type=positive, help="examples (default: 8 for layers, 2 for global, 4 for models)")
    parser.add_argument(
        "--repeats", type=positive, default=5, help="timed runs of each, of which the fastest counts (%(default)s)"
    )
    best = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", type=timed_device, default=best, help=DEVICE)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="16 bits by autocast")
    parser.add_argument("--compile", action="store_true", help="also each under torch.compile, slow")
    parser.add_argument("--attention", action="store_true", help="layers, global: also self-attention over the map")
    parser.add_argument("--peers", action="store_true", help="models: also networks made of the peers' layers, slow")
    parser.add_argument("--all", action="store_true", help="models: on a CPU too, all five networks")
    stages = [each for name, each in models.ALL.items() if name != models.BASE]
    parser.add_argument("--stages", nargs="+", choices=stages, help="models: these alone, beside ResNet-50")
    parser.add_argument("--note", help="what a reader of the figures should know, kept with them")
    return parser


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    """The options, where what is measured reads all that are given and can be proved right with them."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for name, readers in READ_BY.items():
        if getattr(options, name) and options.what not in readers:
            parser.error(f"--{name} is of {' and '.join(readers)}: {options.what} does not read it")
    if options.stages and options.all:
        parser.error("--stages names the networks, and --all takes all of them: give one of the two")
    alone = options.batch == 1 and torch.device(options.device).type == "cpu"
    if alone and options.what != "models" and installed():
        parser.error(
            f"--batch 1: on a CPU PyTorch's batch norm gives the layers of {' and '.join(installed())} wrong gradients "
            "for one example, and no time is taken of a wrong answer: take 2 or more"
        )
    return options


def main(arguments: list[str] | None = None) -> None:
    options = _asked(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    missing = sorted(set(PEERS) - set(installed()))
    if missing:
        print(f"not installed, so not compared: {', '.join(missing)}")
    prepare(device)
    found = {
        "command": command("python -m lambda_core.benchmark", arguments),
        "device": device_name(device),
        "precision": options.precision,
        **versions(device),
        "date": date.today().isoformat(),
        **({"note": options.note} if options.note else {}),
        **WHAT[options.what](options, device),
    }
    if options.json:
        write_json(options.json, found)


if __name__ == "__main__":
    keep_memory()
    main()
