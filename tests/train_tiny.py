"""The tiny run of test_faults.py as a program: OUT FOLDER SLOW CHANGES, alone or under torchrun."""

import json
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from lambda_core.training import classify
from lambda_core.training.faults import TrainingStopped
from lambda_core.training.loop import Run
from tests.tiny import TINY

DEVICE = "cpu" if torch.cuda.is_available() else None  # where there is no GPU, the CPU is found without being named
out, folder, slow, changes = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), json.loads(sys.argv[4])
full_after = changes.pop("full_disk_after", None)
workers = changes.pop("workers", 0)
step, save = Run.train_step, Run.save


def slowly(run, *arguments):
    time.sleep(slow)
    loss = step(run, *arguments)
    out.joinpath("begun").touch()
    return loss


def save_until_full(run):
    if run.epoch > full_after:  # no file may grow beyond 10 kB from here on
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    save(run)


Run.train_step = slowly
if full_after is not None:
    Run.save = save_until_full
out.joinpath(f"rank{os.environ.get('RANK', 0)}").write_text(str(os.getpid()))
try:
    done = classify.train(
        replace(TINY, **changes), out, folder, workers=workers, device=DEVICE, watch=classify.leave_when_asked
    )  # fmt: skip
except TrainingStopped as error:
    sys.exit(str(error))
threads = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
out.joinpath(f"threads{os.environ.get('RANK', 0)}").write_text(" ".join(threads))
sys.exit(128 + done["stopped"] if done.get("stopped") else 0)
