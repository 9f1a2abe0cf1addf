"""Threads that import parts of one package at once."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from explorer import importing, navigation

PART = "import time\ntime.sleep(0.8)\n"
APART = 0.3  # the second begins while the package is at its first lines


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two pages: one imports a package that imports its part, the other that part, which imports the package."""
    package = tmp_path / "package_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text(f"{PART}from {package.name} import part\n")
    (package / "part.py").write_text(f"{PART}from importlib import import_module\nimport_module({package.name!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in (package.name, f"{package.name}.part"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    whole, part = tmp_path / "whole.py", tmp_path / "part.py"
    whole.write_text(f"import {package.name}\n\nraise RuntimeError('a page runs later')\n")
    part.write_text(f"from {package.name}.part import time\n\nraise RuntimeError('a page runs later')\n")
    return [whole, part]


def at_once(calls: list[Callable[[], None]], apart: float = 0.0) -> list[BaseException]:
    """What is raised by calls in threads of their own. apart: seconds from one to the next."""
    raised: list[BaseException] = []
    together = threading.Barrier(len(calls))

    def run(number: int, call: Callable[[], None]) -> None:
        together.wait()
        time.sleep(number * apart)
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_two_pages_that_meet_in_a_package(pages):
    assert at_once([lambda page=page: importing.imports(page) for page in pages], APART) == []


def test_without_the_lock_they_do_not_finish(pages):
    statements = [page.read_text().splitlines()[0] for page in pages]
    raised = at_once([lambda line=line: exec(line, {}) for line in statements], APART)
    assert "deadlock" in str(raised)


SERVER = """
import sys
from tests.test_importing import at_once
from explorer import early, importing, navigation, serving

assert "torch" not in sys.modules and "lambda_core" not in sys.modules  # as a server that has just started
sys.setswitchinterval(1e-5)
pages = [lambda page=page: importing.imports(page.path) for page in navigation.find()]
raised = at_once([serving.warm, lambda: early.trace(""), *pages])
sys.exit("".join(map(repr, raised)) or 0)
"""


@pytest.mark.long
def test_a_visitor_on_every_page_of_a_server_that_has_just_started():
    run = subprocess.run([sys.executable, "-c", SERVER], cwd=navigation.PAGES.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
