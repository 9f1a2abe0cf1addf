"""Processes that load pictures: they outlive a stop of the run, and end with the loop that takes from them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from torch.utils.data import DataLoader


def outlive_stop(_worker: int) -> None:
    """For a process that loads pictures: let the run finish its step and save.

    A stop often reaches all processes of a run at once. Without its loader the run would break off in mid-save.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def served(loader: DataLoader) -> Iterator[Iterator]:
    """The batches of a loader, whose processes end with the block, also after an error.

    They outlive SIGTERM, by which multiprocessing would end them when the interpreter does, and wait for that.
    """
    parts = iter(loader)
    try:
        yield parts
    finally:
        if end := getattr(parts, "_shutdown_workers", None):
            end()
