"""Which photographs each process sees, step by step: decided by the seed alone, so that a run can go on anywhere."""

from collections.abc import Iterator

import torch


def batches(
    count: int, batch: int, *, seed: int, epoch: int, start: int = 0, accumulate: int = 1, rank: int = 0, world: int = 1
) -> Iterator[list[int]]:
    """Index lists for one process from step `start` of an epoch on, `accumulate` lists a step; no last, short step.

    All processes together see the same `batch` photographs a step, however many they are. Raises ValueError if the
    batch cannot be split evenly.
    """
    if batch % (accumulate * world):
        raise ValueError(
            f"a batch of {batch} cannot be split over {world} processes and {accumulate} parts: "
            f"take a multiple of {accumulate * world}"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 100_003 + epoch))
    for step in range(start, count // batch):
        parts = order[step * batch : (step + 1) * batch].view(accumulate, world, -1)
        for part in parts:
            yield part[rank].tolist()
