"""What can go wrong in a long run, said in one sentence, and writes that never leave half a file."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from lambda_core.replacing import replace_file

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TrainingStopped(RuntimeError):
    """A run that cannot go on; the message says why, what is safe, and what to do."""


ANOTHER_OUT = "Make room or choose another --out"


@contextmanager
def writing(path: Path, way_out: str = ANOTHER_OUT) -> Iterator[None]:
    """What goes wrong on the disk in this block, as TrainingStopped. way_out: what to do then."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # of a failed write, torch.save tells in its wake alone
        full = any(getattr(e, "errno", None) in NO_ROOM for e in (error, error.__context__))
        reason = "there is no room" if full else (str(error) or type(error).__name__).splitlines()[0]
        kept = f"; the last good {path.name} is intact" if path.exists() else ""
        raise TrainingStopped(
            f"{path} could not be written: {reason}{kept}. {way_out}, then run the same command again"
        ) from error


def write_atomically(path: Path, write: Callable[[Path], object], way_out: str = ANOTHER_OUT) -> None:
    """`replace_file` for what a run writes: write(temporary path), and all of it takes the place of the old file.

    Raises TrainingStopped where the disk is full or refuses; the old file stays as it was.
    """
    with writing(path, way_out):
        replace_file(path, write)
