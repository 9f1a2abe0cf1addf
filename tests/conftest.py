"""For every test: one thread a process, so that two test processes do not fight over two cores, and no deadlines."""

import sys
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """What a page began beside itself ends with its test: it draws from the random numbers that all threads share."""
    yield
    if later := sys.modules.get("explorer.later"):
        later._POOL.submit(int).result()
