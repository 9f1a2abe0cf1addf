"""What tests have other processes do: apart, so that these import nothing else."""

import os


def called(name: str, seed: int, word: str) -> tuple[str, int, str, int]:
    """What it was called with, and the process that it ran in."""
    return name, seed, word, os.getpid()


def lost(name: str, seed: int) -> None:
    """End the process at once."""
    os._exit(9)
