"""How time, memory and the limits of a machine are measured."""

import math
import platform
from collections.abc import Callable, Mapping
from time import perf_counter, process_time

import torch

from lambda_core.engines.matmul import product

Run = Callable[[], object]


def clock(device: torch.device) -> Callable[[], float]:
    """Seconds. With one CPU thread processor time, which other work on the machine disturbs least, else wall time."""
    if device.type == "cuda":

        def waited() -> float:
            torch.cuda.synchronize(device)
            return perf_counter()

        return waited
    return process_time if torch.get_num_threads() == 1 else perf_counter


def milliseconds(runs: Mapping[str, Run], repeats: int, device: torch.device) -> dict[str, float]:
    """The shortest time of each run: what is above it is other work on the machine. They take turns.

    In its turn each runs twice, and the second counts: cache and allocator are then its own, as in a loop.
    """
    now = clock(device)
    found: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            if turn:
                run()
            start = now()
            run()
            if turn:
                found[name].append(1e3 * (now() - start))
    return {name: min(times) for name, times in found.items()}


def peak_bytes(run: Run, device: torch.device) -> int:
    """The most that tensors take at once during a run, beyond what was there before."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        run()
    held = most = 0
    assert profile.profiler is not None
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def limits(device: torch.device) -> tuple[float, float]:
    """Multiply-adds a second in a product of two matrices, and bytes a second of a copy, both in float32."""
    a, b = torch.randn(2, 1024, 1024, device=device)
    source = torch.randn(2**24, device=device)
    target = torch.empty_like(source)
    times = milliseconds({"product": lambda: product(a, b), "copy": lambda: target.copy_(source)}, 9, device)
    return 1024**3 / (1e-3 * times["product"]), 8 * len(source) / (1e-3 * times["copy"])


def mean(ratios: list[float]) -> float:
    """Geometric."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} CPU, {capability}, {torch.get_num_threads()} thread(s)"
