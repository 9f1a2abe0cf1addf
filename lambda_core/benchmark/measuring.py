"""How time, memory and the limits of a machine are measured."""

import gc
import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from time import perf_counter, process_time

import torch

from lambda_core.engines.matmul import product
from lambda_core.measuring import most_allocated

Run = Callable[[], object]
Failures = MutableMapping[str, str]  # name -> why it did not run

WINDOW = 20.0  # ms: on CUDA so much work is queued at once, beside which a launch and a wait are nothing
LONG = 2000.0  # ms: on CUDA, after so much of one contestant another turn tells nothing new
MOST = 200  # calls queued at once


@contextmanager
def tolerated(name: str, failures: Failures | None) -> Iterator[None]:
    """An exception becomes an entry in `failures`, where there are any: one contestant's is not the end of the others.

    Any exception: a peer may run out of memory, a compiler may raise what it likes. What the failed attempt held goes
    when the block is left; `release` then gives it back.
    """
    try:
        yield
    except Exception as error:
        if failures is None:
            raise
        failures[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300]


def release(device: torch.device) -> None:
    """On CUDA, give back what nobody holds any more."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def clock() -> Callable[[], float]:
    """Seconds. With one CPU thread processor time, which other work on the machine disturbs least, else wall time."""
    return process_time if torch.get_num_threads() == 1 else perf_counter


def milliseconds(
    runs: Mapping[str, Run], repeats: int, device: torch.device, failures: Failures | None = None
) -> dict[str, float]:
    """The shortest time of each run: what is above it is other work on the machine. The first call is not timed.

    On a CPU they take turns. In its turn each runs twice, and the second counts: cache and allocator are then its own,
    as in a loop. On CUDA see `_queued`. With `failures` a run that raises is left out, and the reason is put there.
    """
    if device.type == "cuda":
        return _one_by_one(runs, repeats, device, failures)
    now = clock()
    found: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            if failures and name in failures:
                continue
            with tolerated(name, failures):
                if turn:
                    run()
                start = now()
                run()
                if turn:
                    found[name].append(1e3 * (now() - start))
    return {name: min(times) for name, times in found.items() if not (failures and name in failures)}


def _one_by_one(
    runs: Mapping[str, Run], repeats: int, device: torch.device, failures: Failures | None
) -> dict[str, float]:
    """On CUDA each has the memory to itself: the allocator would keep for one what another cannot use."""
    found = {}
    for name, run in runs.items():
        with tolerated(name, failures):
            found[name] = _queued(run, repeats, lambda: torch.cuda.synchronize(device))
        release(device)
    return found


def _queued(run: Run, repeats: int, wait: Callable[[], None]) -> float:
    """The shortest of some turns, a call: so many calls in a turn that it takes WINDOW, and one wait at its end.

    The device works off what is queued while the next call is prepared, as in training: a layer of many small kernels
    takes as long as Python takes to launch them, and a kernel of 100 µs is timed beside a wait of 10. Two calls go
    untimed before, the first with whatever is compiled or chosen in it. After LONG no further turn is taken; where one
    call takes as long, the second is the answer.
    """

    def turn(calls: int) -> float:
        wait()
        start = perf_counter()
        for _ in range(calls):
            run()
        wait()
        return 1e3 * (perf_counter() - start) / calls

    turn(1)
    if (once := turn(1)) > LONG:
        return once
    calls = max(1, min(MOST, math.ceil(WINDOW / max(once, 1e-6))))
    times: list[float] = []
    while len(times) < repeats and (not times or calls * sum(times) < LONG):
        times.append(turn(calls))
    return min(times)


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
    return most_allocated(profile)


def limits(device: torch.device, dtype: torch.dtype = torch.float32) -> tuple[float, float]:
    """Multiply-adds a second in a product of two matrices, and bytes a second of a copy, both in that type.

    On CUDA so large that a cache holds no part that matters, and that all of the device has work.
    """
    side, numbers = (8192, 2**29) if device.type == "cuda" else (1024, 2**24)
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    source = torch.ones(numbers, device=device, dtype=dtype)
    target = torch.empty_like(source)
    times = milliseconds({"product": lambda: product(a, b), "copy": lambda: target.copy_(source)}, 9, device)
    return side**3 / (1e-3 * times["product"]), 2 * source.nbytes / (1e-3 * times["copy"])


def mean(ratios: list[float]) -> float:
    """Geometric."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))
