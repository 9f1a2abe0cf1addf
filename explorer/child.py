"""A measurement in a process of its own: one at a time on this server, line by line, ended with the server.

The process is `python -m MODULE ORDER`, ORDER in JSON. It answers in lines of JSON. No streamlit.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lambda_core.measuring import TIMEOUT

_turn = threading.Lock()


@dataclass
class Child:
    """lines: what it has said, in the order it came; other: the last line that was no JSON, as of an error.

    ended: set when all is said and another may begin.
    """

    process: subprocess.Popen
    lines: list[dict[str, Any]] = field(default_factory=list)
    other: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def busy(self) -> bool:
        return not self.ended.is_set()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.process.kill()
        self.ended.wait()

    def failure(self, seconds: float) -> str | None:
        """Why it ended before it was done, as the end of a sentence; None if it did not. seconds: its limit."""
        code = self.process.returncode
        if not code:
            return None
        if code == TIMEOUT:
            return f"took longer than {seconds:g} seconds and was stopped"
        if code < 0 or "memory" in self.other.lower():  # a signal: the system's, which had no memory left
            return "took more memory than there is and was stopped"
        return f"failed: {self.other or f'exit status {code}'}"


def start(module: str, order: dict[str, Any]) -> Child:
    """Raises RuntimeError while another measurement is under way: two would slow each other down.

    It computes on one thread. The server works beside it, and more threads than processors are left sleep at every
    barrier: on two processors a step of self-attention took fifty times as long on two threads as on one.
    """
    if not _turn.acquire(blocking=False):
        raise RuntimeError("Another measurement is under way on this server; try again in a minute.")
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(order)], cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    except BaseException:
        _turn.release()
        raise
    child = Child(process)
    atexit.register(process.kill)
    threading.Thread(target=_listen, args=(child,), daemon=True).start()
    return child


def _listen(child: Child) -> None:
    """Gather lines until the process ends, by itself or killed."""
    try:
        assert child.process.stdout is not None
        with child.process.stdout as lines:
            for line in lines:
                try:
                    child.lines.append(json.loads(line))
                except ValueError:  # also a line that it did not finish
                    child.other = line.decode(errors="replace").strip() or child.other
    finally:
        child.process.kill()
        child.process.wait()
        atexit.unregister(child.process.kill)
        _turn.release()
        child.ended.set()
