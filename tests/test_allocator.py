"""A command that asked for it takes its memory from the kernel once."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from lambda_core.allocator import keep_memory

if sys.argv[1] == "keep":
    assert keep_memory()
for turn in range(6):
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.zeros(2**24) for _ in range(2)]
    del blocks
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - taken)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
@pytest.mark.parametrize(("how", "again"), [("keep", False), ("leave", True)])
def test_memory_is_taken_once(how, again):
    command = [sys.executable, "-c", PROGRAM, how]
    pages = [int(line) for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
    assert pages[0] > 100  # some kernels give large pages
    assert (pages[-1] > pages[0] / 2) == again


def test_another_c_library_is_left_alone(monkeypatch):
    from lambda_core.allocator import keep_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_memory()
