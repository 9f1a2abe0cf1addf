"""How long attributions take here, with the network that ships: python -m lambda_core.attribution [--json FILE]

The median of several runs on one picture of 128 px, after one to warm up, beside its target. The status is 1 if one
misses it.
"""

import argparse
import datetime
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from lambda_core.arguments import command, positive, print_in_utf8, refuse, writable, write_json
from lambda_core.attribution import METHODS, attribute, halves
from lambda_core.attribution.heat import layer_path
from lambda_core.checkpoints import CheckpointRefused, load_checkpoint

TARGETS = {"prediction": 0.1, "Integrated Gradients": 1.5, "Grad-CAM": 0.3}  # seconds


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of `work`."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.attribution",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--checkpoint", default="lambda_resnet_mini", help="a network of the zoo, or a file (%(default)s)"
    )
    parser.add_argument("--repeats", type=positive, default=5, help="runs of each method (%(default)s)")
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)

    try:
        checkpoint = load_checkpoint(options.checkpoint)
        side = int(checkpoint.preparation()["size"])
    except CheckpointRefused as error:
        refuse(error)
    model = checkpoint.model
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    work: dict[str, Callable[[], object]] = {"prediction": torch.no_grad()(partial(model, x))}
    work |= {method.title: partial(attribute, model, x, 0, method=name) for name, method in METHODS.items()}
    work["λ halves of one layer"] = partial(halves, model, x, 0, layer_path(model, None))
    figures = {}
    for name, run in work.items():
        value = figures[name] = seconds(run, options.repeats)
        target = TARGETS.get(name)
        print(f"{name:24} {value:7.3f} s" + (f"   target {target} s" if target else ""), flush=True)

    result = {
        "command": command("python -m lambda_core.attribution", arguments),
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": platform.machine(),
            "threads": torch.get_num_threads(),
            "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,  # not on Windows
        },
        "seconds": {name: round(value, 3) for name, value in figures.items()},
    }
    if options.json:
        write_json(options.json, result, indent=2)
    return int(any(figures[name] > target for name, target in TARGETS.items()))


if __name__ == "__main__":
    print_in_utf8()
    sys.exit(main())
