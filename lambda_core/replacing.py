"""Files that appear whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Call write(temporary path), flush to disk, rename: a reader sees the old file or the new one, never half.

    Whatever `write` raises is passed on; the old file stays as it was then, and nothing lies beside it.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
