"""How long a training step of a layer takes on one core, by constants that were measured:

python -m lambda_core.step_time [--json FILE]

Every kind of layer in `lambda_core.cost.MEMORY` runs forward and backward at some sizes. Its constants are the ones
that fit these times best, in relative terms, none of them negative. They describe the machine that measured them;
another is faster or slower, and the ratios between layers change less. They weight the engines' estimates: measure
them again after `lambda_core.engines.measure`.
"""

import argparse
import json
import platform
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from lambda_core.arguments import writable, write_json
from lambda_core.cost import MEMORY
from lambda_core.engines.auto import estimate
from lambda_core.engines.measure import fit
from lambda_core.measuring import Point, measure

RESULTS = Path(str(files("lambda_core").joinpath("results/step_constants.json")))
SIZES: tuple[dict[str, int], ...] = (
    {"side": 8, "batch": 8}, {"side": 8, "batch": 1, "dim": 256}, {"side": 12, "batch": 2, "scope": 7},
    {"side": 16, "batch": 1}, {"side": 16, "batch": 4}, {"side": 16, "batch": 2, "heads": 4, "dim": 64},
    {"side": 20, "batch": 1, "scope": 7, "layers": 2}, {"side": 24, "batch": 2}, {"side": 28, "batch": 1, "scope": 11},
    {"side": 32, "batch": 1}, {"side": 32, "batch": 2, "dim": 64, "scope": 7},
)  # fmt: skip


def counts(point: Point) -> list[float]:
    """What a step's time is a weighted sum of: layers, multiply-adds forward, and one number more.

    For lambda layers the multiply-adds are those outside the position part, and the last number is its estimate by its
    engine, seconds (`engines.auto`). For the others it is the bytes that training keeps.
    """
    products = sum(term.value for term in point.operations if not term.name.startswith("position part")) / 2
    if not point.kind.startswith("lambda, "):
        return [point.layers, products, float(point.expected().bytes)]
    engine = estimate(*point.shapes)[point.kind.removeprefix("lambda, ")]
    return [point.layers, products, point.layers * engine.seconds]


@cache
def constants() -> dict[str, tuple[float, float, float]]:
    """Kind of layer -> the weights of its `counts`."""
    return {
        kind: tuple(row["weights"]) for kind, row in json.loads(RESULTS.read_text(encoding="utf-8"))["layers"].items()
    }


def seconds(point: Point) -> float:
    """Estimated, of a training step: forward and backward, on one core."""
    return sum(weight * count for weight, count in zip(constants()[point.kind], counts(point), strict=True))


def measured(kind: str) -> dict[str, Any]:
    """The constants of one kind of layer, and the runs that they come from."""
    points = [Point(kind, **sizes) for sizes in SIZES]
    times = torch.tensor([measure(point)["seconds"] for point in points], dtype=torch.float64)
    rows = torch.tensor([counts(point) for point in points], dtype=torch.float64)
    weights = fit(rows, times)
    expected = rows @ torch.tensor(weights, dtype=torch.float64)
    runs = [
        {**sizes, "ms": round(1e3 * float(time), 2), "estimated_ms": round(1e3 * float(guess), 2)}
        for sizes, time, guess in zip(SIZES, times, expected, strict=True)
    ]
    return {"weights": [float(f"{weight:.4g}") for weight in weights], "runs": runs}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.step_time",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=writable, metavar="FILE", help="write the figures there (else print)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = {
        "command": "python -m lambda_core.step_time",
        "device": f"{platform.machine()} CPU, 1 thread",
        "torch": torch.__version__,
        "date": date.today().isoformat(),
        "weights": "of layers, multiply-adds forward, and bytes kept or an engine's estimated seconds",
        "layers": {kind: measured(kind) for kind in MEMORY},
    }
    if options.json:
        write_json(options.json, found)
    else:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
