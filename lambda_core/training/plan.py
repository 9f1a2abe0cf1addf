"""What a run will take, before it is begun: steps, time, memory, and whether the pictures come fast enough."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

import torch
from torch.utils.data import DataLoader

from lambda_core.data import Repeatable
from lambda_core.training.loaders import outlive_stop, served
from lambda_core.training.loop import Run

MEASURED = 3  # steps that are timed, after one that is not
AHEAD = 2  # batches that each process which loads has made before they are asked for, as DataLoader has it
LOADING = 5.0  # seconds after which the loader has been timed enough


def plan(run: Run, data: Repeatable, transform: Callable[[int], Callable], workers: int, total: int) -> dict[str, Any]:
    """Time a few steps at each size that the recipe trains on, and then batches from the loader alone.

    transform: that of the photographs, for an epoch. Leaves no file behind. paces: (side, seconds a step, steps) for
    each size in turn; all the rest is of the largest. steps, seconds: for all that is left, at the paces measured, or
    at the loader's where that is slower. peak_bytes: of this process, or of the GPU; 0 where the system does not say.
    loader_ratio: photographs a second that the loader gives, over those that the network takes.
    """
    recipe = run.recipe
    left = range(min(run.epoch, recipe.epochs - 1), recipe.epochs)
    epochs, begun, gone = Counter(map(recipe.side, left)), run.begun, run.epoch >= recipe.epochs
    paces = []
    for side in sorted(epochs):
        data.transform = transform(next(epoch for epoch in left if recipe.side(epoch) == side))
        steps = 0 if gone else total // recipe.epochs * epochs[side]
        if side == recipe.side(left[0]) and not gone:
            steps -= begun  # of the epoch at hand
        paces.append((side, _seconds_a_step(run, data, workers, total), steps))
    a_load, a_step = recipe.accumulate * _seconds_a_batch(run.loader(data, workers)[0], workers), paces[-1][1]
    return {
        "recipe": asdict(recipe),
        "preprocess": run.preprocess,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "processes": run.accelerator.num_processes,
        "device": str(run.device),
        "pictures": len(data),
        "steps": sum(count for *_, count in paces),
        "done": left[0] if not gone else recipe.epochs,
        "paces": paces,
        "seconds": sum(max(seconds, a_load) * count for _, seconds, count in paces),
        "peak_bytes": _peak_bytes(run.device),
        "model_images_per_second": recipe.batch / a_step,
        "loader_images_per_second": recipe.batch / a_load,
        "loader_ratio": a_step / a_load,
    }


def _peak_bytes(device: torch.device) -> int:
    """The most memory that this process has had, on a GPU there; 0 where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes on macOS, KiB elsewhere


def _seconds_a_batch(loader: DataLoader, workers: int) -> float:
    """What a batch takes where nothing but the loader is at work, over at least one batch of each process that loads.

    The first ones are not timed: all processes make theirs at once, before anybody asks. Where an epoch has too few
    batches they come round again.
    """
    lists, a_round = list(cast(list[list[int]], loader.batch_sampler)), max(1, workers)
    untimed, timed = AHEAD * workers or 1, max(MEASURED, AHEAD * workers)
    again = -(-(untimed + timed + AHEAD * workers) // len(lists))
    longer = DataLoader(
        loader.dataset, batch_sampler=lists * again, num_workers=workers, pin_memory=loader.pin_memory,
        worker_init_fn=outlive_stop,
    )  # fmt: skip
    with served(longer) as parts:
        for _ in range(untimed):
            next(parts)
        count, started = 0, time.perf_counter()
        while count < timed and (count % a_round or time.perf_counter() - started < LOADING):
            next(parts)
            count += 1
        return (time.perf_counter() - started) / count


def _seconds_a_step(run: Run, data: Repeatable, workers: int, total: int) -> float:
    loader, steps = run.loader(data, workers)
    count = min(MEASURED, steps - 1)
    if count < 1:
        raise ValueError(
            f"{len(data)} pictures make no two steps of {run.recipe.batch}: take a smaller --set batch=..."
        )
    run.model.train()
    with served(loader) as parts:
        run.train_step(parts, total).item()  # a GPU works on after the call
        started = time.perf_counter()
        for _ in range(count):
            run.train_step(parts, total).item()
        return (time.perf_counter() - started) / count


def describe(found: dict[str, Any]) -> str:
    """The plan, for people."""
    recipe, hours = found["recipe"], found["seconds"] / 3600
    lines = [
        f"{recipe['model']}: {found['parameters'] / 1e6:.2f} M parameters on {found['device']} "
        f"({found['processes']} process{'es' if found['processes'] > 1 else ''})",
        f"{recipe['epochs']} epochs of {found['pictures']:,} pictures"
        + (f", {found['done']} of them done" if found["done"] else "")
        + f": {found['steps']:,} steps of {recipe['batch']}",
        ", ".join(f"{seconds:.2f} s a step at {side} px" for side, seconds, _ in found["paces"])
        + f": about {hours:.1f} h in all"
        + (", as fast as the loader gives the pictures" if found["loader_ratio"] < 1 else ""),
        f"memory: {found['peak_bytes'] / 2**30:.1f} GiB at most so far" if found["peak_bytes"] else "",
        f"the loader alone gives {found['loader_images_per_second']:,.0f} pictures a second, the network takes "
        f"{found['model_images_per_second']:,.0f}: {found['loader_ratio']:.1f} times as many",
        recipe["expects"],
        "Nothing was written.",
    ]
    return "\n".join(filter(None, lines))
