"""The memory of a command that runs long on a CPU."""

import ctypes
import platform
import sys

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4  # of glibc's malloc.h
LARGE = 2**31 - 1  # the most an option takes, bytes
STEP = 2**28


def keep_memory() -> bool:
    """Have glibc keep the memory that a network frees, for its next step. Returns whether it will.

    By default a large block goes back to the kernel as it is freed and comes again a page at a time, each filled with
    zeros first: up to two thirds of the time of a training on a CPU, and how much depends on what ran before. A command
    calls this as it starts; a library must not, since the process then stays as large as it once was. Other C
    libraries, and allocators put in glibc's place, are left as they are. Source: mallopt(3).
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    options = {MMAP_MAX: 0, TRIM_THRESHOLD: LARGE, TOP_PAD: STEP}
    return all(mallopt(option, value) for option, value in options.items())
