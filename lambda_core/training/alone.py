"""One run a folder: a second one that would train there is told so. One change at a time of a file that many share."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import torch

from lambda_core.training.faults import TrainingStopped, writing

if TYPE_CHECKING:
    from accelerate import Accelerator

LOCK = ".lock"  # stays in the folder; what counts is who holds it
PAUSE = 0.05  # s


@contextmanager
def alone(folder: Path, accelerator: "Accelerator") -> Iterator[None]:
    """Hold the folder of a run. Raises TrainingStopped, in all processes of a run, where another run holds it.

    The main process holds it, and none that it forks: however it ends, the folder is free at once.
    """
    file, free = None, True
    if accelerator.is_main_process:
        with writing(folder / LOCK):
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / LOCK).open("a", encoding="utf-8")
        free = _held(file)
    try:
        if accelerator.num_processes > 1:
            told = torch.tensor([float(free)], device=accelerator.device)
            free = bool(accelerator.gather(told).min().item())
        if not free:
            raise TrainingStopped(
                f"another run is training in {folder}: wait until it has ended, or choose another --out"
            )
        yield
    finally:
        if file:
            file.close()


@contextmanager
def in_turn(file: Path) -> Iterator[None]:
    """Hold the lock `file` as soon as no other process does: for what takes a moment."""
    with writing(file):
        lock = file.open("a", encoding="utf-8")
    with lock:
        while not _held(lock):
            time.sleep(PAUSE)
        yield


def _held(file: IO) -> bool:
    """Whether this process holds the file now. One that cannot be held at all, as on some disks, counts as held."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # flock would go to processes that load pictures too
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True
