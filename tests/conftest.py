"""For every test: one thread a process, so that two test processes do not fight over two cores, and no deadlines."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from streamlit.components.v2 import manifest_scanner

torch.set_num_threads(1)
# A busy machine is no failure, and what passed once does not fail later over other examples.
settings.register_profile("unhurried", deadline=None, derandomize=True, database=None)
settings.load_profile("unhurried")
# Each AppTest asks all installed packages for components, which takes 0.14 s: they stay what they are.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: at the end nothing waits for one of them."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a data set of a few pictures lies."""
    from tests import imagenette

    return imagenette.make(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run that nothing disturbed."""
    from lambda_core.training import classify
    from tests.tiny import TINY

    out = tmp_path_factory.mktemp("whole")
    classify.train(TINY, out, folder, device="cpu")
    return out


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """What a page began beside itself ends with its test: it draws from the random numbers that all threads share.

    These begin anew, in whichever order the tests are run.
    """
    torch.manual_seed(0)
    yield
    if later := sys.modules.get("explorer.later"):
        for pool in (later._POOL, later._LATEST):
            pool.submit(int).result()
