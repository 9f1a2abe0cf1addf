"""Training runs that the explorer starts: each a process that outlives a page, is bounded, and stops when asked.

A run is a folder and the command that trains in it. Asked to pause, the process saves and leaves; to go on is the same
command again. Whoever has a run's token, which the link of the page carries, can look at it from any session. No run
outlives the server (explorer/ward.py).
"""

import atexit
import csv
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from lambda_core.training.config import RECIPES, Recipe, changed

MOST = 2  # runs at once on this server; more would only slow each other down
LETTERS, ENDING = 60, 12  # of a file's name at most: systems take 255 bytes, and a letter may take four of them
LONGEST = 3600.0  # seconds that a process may take before it is asked to pause
UNSEEN = 900.0  # seconds that a run goes on while no page looks at it
KEPT = 12  # runs whose folders are kept; the one that nobody has looked at for longest gives way
GRACE = 20.0  # seconds from asking to ending by force
ROOT = Path(__file__).parents[1]
PAUSED = 143  # exit status of a run that saved because it was asked to (lambda_core.training.classify.STOPPED)


class Busy(RuntimeError):
    """No run can be started now; the message says why."""


@dataclass(frozen=True)
class Begin:
    """A trained network to begin from. name: in the zoo, or that of a file with this content."""

    name: str
    content: bytes | None = None


@dataclass
class Job:
    """One training run. settings: "field=value" for the recipe, in the order given. data: folder of its data set.

    begin: the network whose weights it begins from, in place of random ones.
    """

    token: str
    recipe: str
    epochs: int
    settings: tuple[str, ...]
    data: str | None
    folder: Path
    process: subprocess.Popen | None = None
    begun: float = 0.0
    seen: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    begin: Begin | None = None

    @property
    def plan(self) -> Recipe:
        """The recipe with its settings."""
        return replace(changed(RECIPES[self.recipe], list(self.settings)), epochs=self.epochs)

    @property
    def command(self) -> list[str]:
        """What a person would type, less the paths."""
        words = ["python", "-m", "lambda_core.training.classify", self.recipe, "--epochs", str(self.epochs)]
        for setting in self.settings:
            words += ["--set", setting]
        if self.begin:
            words += ["--init", self.begin.name]
        return [*words, "--data", "DIR"] if self.data else words

    @property
    def state(self) -> str:
        """ "running", "paused", "done" or "failed"."""
        code = None if self.process is None else self.process.poll()
        if self.process is not None and code is None:
            return "running"
        return {0: "done", PAUSED: "paused", -signal.SIGTERM: "paused", None: "paused"}.get(code, "failed")

    @property
    def said(self) -> str:
        """The last line of a run that failed."""
        lines = (self.folder / "said.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with status {self.process and self.process.returncode}"

    def log(self) -> list[dict[str, float]]:
        """A row an epoch, as in log.csv; figures that were not measured are left out."""
        return _rows(self.folder / "log.csv")

    def curve(self) -> list[dict[str, float]]:
        """A row every few steps: step, loss."""
        return _rows(self.folder / "curve.csv")

    def kept(self) -> dict[int, Path]:
        """The networks on the way, by epoch."""
        return {int(file.stem[-3:]): file for file in sorted(self.folder.glob("epoch_*.safetensors"))}


_jobs: dict[str, Job] = {}
_lock = threading.RLock()  # of _jobs: a new run may discard old ones
_root: list[Path] = []


def _rows(file: Path) -> list[dict[str, float]]:
    if not file.exists():
        return []
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            found = [{name: value for name, value in row.items() if value} for row in csv.DictReader(lines)]
    except PermissionError:  # Windows, while the run puts a new one in its place
        return []
    return [{name: float(value) for name, value in row.items()} for row in found if None not in row]


def find(token: str | None) -> Job | None:
    """The run of a token, and note that somebody looks at it."""
    job = _jobs.get(token or "")
    if job:
        job.seen = time.monotonic()
    return job


def create(
    recipe: str, epochs: int, settings: tuple[str, ...] = (), data: str | None = None, begin: Begin | None = None
) -> Job:
    """A new run, started. Raises Busy while MOST are under way."""
    if recipe not in RECIPES:
        raise ValueError(f"no recipe is called {recipe!r}")
    with _lock:
        if not _root:
            _root.append(Path(tempfile.mkdtemp(prefix="lambda_explorer_")))
            atexit.register(close)
        token = secrets.token_hex(6)
        folder = _root[0] / token
        folder.mkdir()
        job = Job(token, recipe, epochs, settings, data, folder, begin=begin)
        try:
            _start(job)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _jobs[token] = job
        idle = sorted((other for other in _jobs.values() if other.state != "running"), key=lambda other: other.seen)
        for other in idle[: max(0, len(_jobs) - KEPT)]:
            discard(other)
    return job


def go_on(job: Job) -> None:
    """Start a paused or failed run again where it was saved, unless it was discarded. Raises Busy as `create` does."""
    with _lock:
        if job.token in _jobs and job.state in ("paused", "failed"):
            _start(job)


def _start(job: Job) -> None:
    if sum(other.state == "running" for other in _jobs.values()) >= MOST:
        raise Busy(
            f"{MOST} networks are being trained on this server already: wait until one is done, or open the link of a "
            "run that is going on, for everyone who has it can watch the run and step through its network"
        )
    command = [sys.executable, "-m", "explorer.ward", *job.command[3:]]
    if job.data:
        command[command.index("DIR")] = job.data
    if job.begin and job.begin.content is not None:
        command[command.index("--init") + 1] = str(_written(job.begin, job.folder / "begin"))
    command += ["--out", str(job.folder), "--workers", "0", "--device", "cpu"]
    if nice := shutil.which("nice"):  # the pages come first
        command = [nice, "-n", "5", *command]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # the explorer may run from another folder
    environment["PYTHONPATH"] = os.pathsep.join(path)
    with (job.folder / "said.txt").open("w", encoding="utf-8") as said:
        job.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=environment, start_new_session=True
        )
    job.begun = job.seen = time.monotonic()
    threading.Thread(target=_watch, args=(job, job.process), daemon=True).start()


def _written(begin: Begin, folder: Path) -> Path:
    """The file of a network to begin from, under its name, which the card will tell."""
    folder.mkdir(exist_ok=True)
    name = re.sub(r"[^\w. -]", "_", begin.name).strip(". ") or "weights"
    if len(name) > LETTERS:
        name = name[: LETTERS - ENDING] + name[-ENDING:]
    file = folder / name
    file.write_bytes(begin.content or b"")
    return file


def _watch(job: Job, process: subprocess.Popen) -> None:
    """Pause a run that takes too long, or that nobody looks at; let go of its input when it has ended."""
    while process.poll() is None:
        now = time.monotonic()
        if now - job.begun > LONGEST or now - job.seen > UNSEEN:
            pause(job)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
    if process.stdin:
        process.stdin.close()


def pause(job: Job) -> None:
    """Ask a run to save and leave, and wait until it did; end it by force if it does not."""
    with job.lock:
        process = job.process
        if process is None or process.poll() is not None:
            return
        if process.stdin:
            process.stdin.close()  # `ward` then asks it; a signal from here would end it at once on Windows
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end(job: Job) -> None:
    if job.process is not None and job.process.poll() is None:
        job.process.kill()
        job.process.wait()


def discard(job: Job) -> None:
    """End a run and delete its folder."""
    _end(job)  # also for a pause that waits for it: nobody else shall wait for that lock
    with _lock, job.lock:
        _end(job)
        _jobs.pop(job.token, None)
    shutil.rmtree(job.folder, ignore_errors=True)


def close() -> None:
    """End all runs and delete their folders, when the server ends."""
    for job in list(_jobs.values()):
        discard(job)
    for root in _root:
        shutil.rmtree(root, ignore_errors=True)
    _root.clear()
