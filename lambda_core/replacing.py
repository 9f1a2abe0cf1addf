"""Files that appear whole or not at all."""

import os
import time
from collections.abc import Callable
from pathlib import Path

TRIES, PAUSE = 20, 0.05  # s


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Call write(temporary path), flush to disk, rename: a reader sees the old file or the new one, never half.

    Whatever `write` raises is passed on; the old file stays as it was then, and nothing lies beside it.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:  # Windows flushes only what may be written
            os.fsync(file.fileno())
        _rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _rename(temporary: Path, path: Path) -> None:
    """Rename, for a second at most: Windows refuses while somebody reads the old file, be it a virus scanner."""
    for _ in range(TRIES - 1):
        try:
            return os.replace(temporary, path)
        except PermissionError:
            time.sleep(PAUSE)
    return os.replace(temporary, path)
