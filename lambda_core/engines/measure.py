"""Measure the constants of the engines' cost model on this machine: python -m lambda_core.engines.measure [--json FILE]

Every engine that fits runs forward and backward on the position part of LambdaResNet-50's four stages and a few more
shapes. Its constants are the ones that fit the fastest of its runs best, in relative terms, none of them negative.
A GPU is measured as it is used: in bfloat16, on sixteen times as many examples.
"""

import argparse
import json
from datetime import date
from itertools import combinations
from time import perf_counter, process_time
from typing import Any

import torch

from lambda_core.allocator import keep_memory
from lambda_core.arguments import DEVICE, command, device_name, extendable, positive, timed_device, write_json
from lambda_core.engines import ENGINES, proof
from lambda_core.engines.auto import COSTS, MADE_FOR

# (b, h, k, v, u, scope, side), the stages of LambdaResNet-50 first; scope 2 side - 1 is global.
PROBLEMS = (
    (2, 4, 16, 16, 1, 23, 56),
    (8, 4, 16, 32, 1, 23, 28),
    (8, 4, 16, 64, 1, 23, 14),
    (8, 4, 16, 128, 1, 23, 7),
    (1, 4, 16, 16, 1, 23, 32),
    (4, 4, 16, 32, 1, 7, 28),
    (8, 4, 16, 16, 1, 7, 56),
    (8, 4, 16, 16, 1, 3, 56),
    (4, 4, 16, 32, 1, 3, 28),
    (1, 4, 16, 16, 1, 3, 112),
    (32, 4, 16, 32, 1, 11, 16),
    (4, 8, 16, 16, 4, 7, 14),
    (16, 2, 8, 64, 1, 3, 20),
    (1, 4, 16, 32, 1, 31, 16),
    (2, 4, 16, 16, 1, 95, 48),
    (2, 4, 16, 16, 1, 127, 64),
    (2, 4, 16, 16, 1, 191, 96),
    (1, 1, 4, 4, 1, 3, 4),
    (2, 2, 4, 4, 1, 3, 2),
)  # fmt: skip
LARGEST = 2**29  # bytes stored; a larger run says nothing new
LONGEST = {"cpu": 2**33, "cuda": 2**37}  # multiply-adds of a convolution; a longer run takes a minute
TYPES = {"cpu": torch.float32, "cuda": torch.bfloat16}
EXAMPLES = {"cpu": 1, "cuda": 16}  # times those of PROBLEMS


def seconds(name: str, problem: tuple[int, ...], device: torch.device, repeats: int) -> float:
    """The fastest of some runs of one engine, forward and backward. On a CPU: processor time, whatever else runs.

    Raises `proof.Wrong` for an engine whose answer is not the definition's.
    """
    b, h, k, values, u, scope, side = problem
    shapes = (b, h, side * side, k), (b, side * side, values, u), (k, u, scope, scope)
    dtype = TYPES.get(device.type, torch.float32)
    q, v, table = (torch.randn(shape, device=device, dtype=dtype, requires_grad=True) for shape in shapes)
    proof.check(name, q, v, table, (side, side))
    clock = process_time if device.type == "cpu" else perf_counter
    runs = []
    for _ in range(repeats):
        start = clock()
        y = ENGINES[name](q, v, table, (side, side))
        grads = torch.autograd.grad(y, (q, v, table), torch.ones_like(y))
        if device.type != "cpu":
            float(grads[0].sum())  # waits for the device
        runs.append(clock() - start)
    return min(runs)


def fit(rows: torch.Tensor, measured: torch.Tensor) -> tuple[float, ...]:
    """Non-negative constants c for which rows · c / measured is nearest to 1, tried on every subset of the columns."""
    scaled, best = rows / measured[:, None], (float("inf"), torch.zeros(rows.shape[1], dtype=rows.dtype))
    for count in range(1, rows.shape[1] + 1):
        for columns in combinations(range(rows.shape[1]), count):
            part = scaled[:, columns]
            norms = part.norm(dim=0)
            solution = torch.linalg.lstsq(part / norms, torch.ones_like(measured)).solution / norms
            loss = float((part @ solution - 1).square().sum())
            if (solution >= 0).all() and loss < best[0]:
                constants = torch.zeros(rows.shape[1], dtype=rows.dtype)
                constants[list(columns)] = solution
                best = (loss, constants)
    return tuple(best[1].tolist())


def measure(device: torch.device, repeats: int = 5) -> dict[str, Any]:
    """Each engine's runs and the constants that describe them."""
    engines: dict[str, Any] = {}
    for name, cost in COSTS.items():
        if MADE_FOR.get(name, device.type) != device.type:
            continue
        rows, problems, times = [], [], []
        for b, *rest in PROBLEMS:
            problem = (b := b * EXAMPLES.get(device.type, 1), *rest)
            h, k, values, u, scope, side = rest
            n = side * side
            operations, numbers = cost((b, h, n, k), (b, n, values, u), (k, u, scope, scope), (side, side))
            direct = b * n * k * values * u * scope**2
            if 4 * numbers > LARGEST or (name == "convolution" and direct > LONGEST.get(device.type, 2**33)):
                continue
            rows.append([1.0, operations, 4 * numbers])
            problems.append(problem)
            times.append(seconds(name, problem, device, repeats))
        table = torch.tensor(rows, dtype=torch.float64)
        constants = fit(table, torch.tensor(times, dtype=torch.float64))
        expected = (table @ torch.tensor(constants, dtype=torch.float64)).tolist()
        runs = [
            {"problem": problem, "ms": round(1e3 * time, 3), "estimated_ms": round(1e3 * value, 3)}
            for problem, time, value in zip(problems, times, expected, strict=True)
        ]
        engines[name] = {"seconds": [float(f"{c:.4g}") for c in constants], "runs": runs}
    return engines


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.engines.measure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    best = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", type=timed_device, default=best, help=DEVICE)
    parser.add_argument("--repeats", type=positive, default=5, help="runs, of which the fastest counts (%(default)s)")
    parser.add_argument(
        "--json",
        type=extendable,
        metavar="FILE",
        help="write the figures there, beside what it holds on other devices (else print)",
    )
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    device = torch.device(options.device)
    found = {
        device.type: {
            "command": command("python -m lambda_core.engines.measure", arguments),
            "device": device_name(device),
            "torch": torch.__version__,
            "date": date.today().isoformat(),
            "problem": ["b", "h", "k", "v", "u", "scope", "side"],
            "seconds": ["fixed", "a multiply-add", "a byte stored"],
            "engines": measure(device, options.repeats),
        }
    }
    if options.json is None:
        print(json.dumps(found, indent=1))
        return
    write_json(options.json, found, beside=True)


if __name__ == "__main__":
    keep_memory()
    main()
