"""For every test: one thread a process, so that two test processes do not fight over two cores, and no deadlines."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: at the end nothing waits for one of them."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a data set of a few pictures lies."""
    from tests import imagenette

    return imagenette.make(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run that nothing disturbed."""
    from lambda_core.training import classify
    from tests.tiny import TINY

    out = tmp_path_factory.mktemp("whole")
    classify.train(TINY, out, folder, device="cpu")
    return out


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """What a page began beside itself ends with its test: it draws from the random numbers that all threads share."""
    yield
    if later := sys.modules.get("explorer.later"):
        for pool in (later._POOL, later._LATEST):
            pool.submit(int).result()
