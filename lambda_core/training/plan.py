"""What a run will take, before it is begun: steps, time, memory, and whether the pictures come fast enough."""

import resource
import time
from dataclasses import asdict
from typing import Any

import torch

from lambda_core.data import Repeatable
from lambda_core.training.loop import Run

MEASURED = 3  # steps that are timed, after one that is not


def plan(run: Run, data: Repeatable, workers: int, total: int) -> dict[str, Any]:
    """Time a few steps at the full size and the same number of batches from the loader alone. Leaves no file behind.

    seconds: for all that is left, at the pace measured. peak_bytes: of this process, or of the GPU. loader_ratio:
    photographs a second that the loader gives, over those that the network takes.
    """
    recipe = run.recipe
    loader, steps = run.loader(data, workers)
    count = min(MEASURED, steps - 1)
    if count < 1:
        raise ValueError(f"{len(data)} pictures make no two steps of {recipe.batch}: take a smaller --set batch=...")
    run.model.train()
    parts = iter(loader)
    run._train_step(parts, total)
    started = time.perf_counter()
    for _ in range(count):
        run._train_step(parts, total).item()
    a_step = (time.perf_counter() - started) / count
    del parts
    parts = iter(run.loader(data, workers)[0])
    next(parts)
    started = time.perf_counter()
    for _ in range(count * recipe.accumulate):
        next(parts)
    a_load = (time.perf_counter() - started) / count
    if run.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(run.device)
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "recipe": asdict(recipe),
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "processes": run.accelerator.num_processes,
        "device": str(run.device),
        "pictures": len(data),
        "steps": total,
        "seconds_a_step": a_step,
        "seconds": a_step * total,
        "peak_bytes": peak,
        "model_images_per_second": recipe.batch / a_step,
        "loader_images_per_second": recipe.batch / a_load,
        "loader_ratio": a_step / a_load,
    }


def describe(found: dict[str, Any]) -> str:
    """The plan, for people."""
    recipe, hours = found["recipe"], found["seconds"] / 3600
    lines = [
        f"{recipe['model']}: {found['parameters'] / 1e6:.2f} M parameters on {found['device']} "
        f"({found['processes']} process{'es' if found['processes'] > 1 else ''})",
        f"{recipe['epochs']} epochs of {found['pictures']:,} pictures: {found['steps']:,} steps of {recipe['batch']}",
        f"{found['seconds_a_step']:.2f} s a step at {recipe['size']} px, so about {hours:.1f} h in all",
        f"memory: {found['peak_bytes'] / 2**30:.1f} GiB at most so far",
        f"the loader alone gives {found['loader_images_per_second']:,.0f} pictures a second, the network takes "
        f"{found['model_images_per_second']:,.0f}: {found['loader_ratio']:.1f} times as many",
        *[recipe["expects"]] * bool(recipe["expects"]),
        "Nothing was written.",
    ]
    return "\n".join(lines)
