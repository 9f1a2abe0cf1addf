"""Train a classifier: python -m lambda_core.training.classify RECIPE --data DIR [--out FOLDER]

The same command goes on where a stopped run left off, and runs under `accelerate launch -m` or `torchrun -m` on many
processes and machines. The averaged weights end in FOLDER/last.safetensors. Needs the packages of the extra "train".
"""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from lambda_core import data
from lambda_core.allocator import keep_memory
from lambda_core.arguments import DEVICES, TRAINS_ON, WORKERS, command, refuse, usable_device, whole
from lambda_core.models import build
from lambda_core.training.alone import alone
from lambda_core.training.card import export, exported
from lambda_core.training.config import CHOICES, INIT, RECIPES, SEEDS, Recipe, changed, check
from lambda_core.training.faults import TrainingStopped, writing
from lambda_core.training.loaders import outlive_stop
from lambda_core.training.loop import Run, evaluate
from lambda_core.training.plan import describe, plan
from lambda_core.training.processes import accelerator_for
from lambda_core.training.starting import begin, check_places, settled

# What the card's command shows of options that tell of one machine: no path, and files by name.
PLACES = {
    "--data": lambda _: "DIR",
    "--out": lambda _: "FOLDER",
    "--init": lambda value: value if value.startswith("timm/") else Path(value).name,
}
STOPPED = 128 + signal.SIGTERM  # exit status of a run that left because it was asked to, as of a process that it ends
Log = Callable[[str, int, float], None]  # of a curve: its name, the step, the value
# What torch.compile says where it finds none, in its first step: on a CPU, on Windows, and by way of Triton.
NO_COMPILER = ("No working C++ compiler", "Compiler: cl is not found", "Failed to find C compiler")


def train(
    recipe: Recipe,
    out: Path,
    folder: str | Path | None,
    *,
    workers: int = 0,
    device: str | None = None,
    download: bool = False,
    init: str | None = None,
    command: str = "",
    watch: Callable[[Run], None] | None = None,
    dry: bool = False,
) -> dict[str, Any]:
    """Run a recipe to its end in folder `out`, resuming if it was begun there.

    Returns the last line of the log; of a run that was asked to stop, {"stopped": signal, "epoch", "step"}; with `dry`
    what `plan` found. Raises ValueError for a recipe or data that do not fit, CheckpointRefused for `init`, DataMissing
    (an OSError) where the data are not there, and TrainingStopped, whose sentence says what stopped it.

    init: a checkpoint to start a new run from, a name of the zoo or a file, in place of random weights; a narrower
    network with the same layers is widened first, see `lambda_core.models.widening`, and one that knows other classes
    gets a new classifier. Pictures are prepared as the checkpoint says. command: for the model card. watch: called
    once with the run before it starts; handlers of signals that it sets end with the run. dry: measure a few steps,
    write nothing, and return the plan instead.
    """
    check_places(out, init)
    check(recipe)
    recipe, weights = settled(recipe, out, init)
    check(recipe)
    accelerator = accelerator_for(recipe, device)
    torch.manual_seed(recipe.seed)
    torch.set_float32_matmul_precision("high")
    known = data.DATASETS[recipe.data]
    with accelerator.main_process_first():  # one process downloads
        source, held_out = (known.load(split, folder, download=download) for split in ("train", "val"))
    for lines in filter(None, (_left_out(part) for part in (source, held_out))):
        accelerator.print(lines, file=sys.stderr)
    classes = known.class_names(source)
    if odd := sorted(set(classes) ^ set(known.class_names(held_out))):
        lacks = "val" if odd[0] in classes else "train"
        raise ValueError(f"`train` and `val` must have the same classes, and `{lacks}` has no {odd[0]!r}")
    source, held_out = data.some(source, recipe.pictures), data.some(held_out, recipe.held_out)
    overrides = {"num_classes": len(classes), **recipe.overrides}
    if len(classes) < 2:
        raise ValueError(f"a classifier needs two classes or more, and the data has {len(classes)}")
    if overrides["num_classes"] != len(classes):
        raise ValueError(f"overrides has num_classes={overrides['num_classes']!r}, and the data {len(classes)} classes")
    counts = {"training_pictures": len(source), "validation_pictures": len(held_out)}  # type: ignore[arg-type]
    if (count := counts["training_pictures"]) < recipe.batch:
        raise ValueError(f"{count} pictures make no step of {recipe.batch}: take a smaller --set batch=...")
    try:
        model = build(recipe.model, **overrides)
    except TypeError as error:  # an option that no layer has
        raise ValueError(str(error)) from error
    run = Run(replace(recipe, overrides=overrides), model, out, classes, accelerator)
    run.counts = counts
    augmented = partial(_augmented, recipe)
    with _handlers_kept():
        if watch:
            watch(run)
        with nullcontext() if dry else alone(out, accelerator):
            begin(run, init, weights)
            # Decoded as late as this: it may take minutes, and whatever refuses the run has done so by now.
            pictures = data.Repeatable(source, augmented(0), seed=recipe.seed, cache=known.cache)
            if dry:
                return plan(run, pictures, augmented, workers, recipe.epochs * (count // recipe.batch))
            framed = data.eval_transform(recipe.size, **data.framing(run.preprocess))
            val = data.Repeatable(held_out, framed, cache=known.cache)
            with _tensorboard(run) as log:
                return _finish(run, pictures, val, augmented, workers, command, log)


def _finish(
    run: Run, pictures: data.Repeatable, val: data.Repeatable, augmented: Callable[[int], Callable], workers: int,
    command: str, log: Log | None,
) -> dict[str, Any]:  # fmt: skip
    """Train until the last epoch, or until the run is asked to stop. Returns what `train` does."""
    recipe, accelerator, out, classes = run.recipe, run.accelerator, run.folder, run.classes
    total = recipe.epochs * (len(pictures) // recipe.batch)
    mine = Subset(val, range(accelerator.process_index, len(val), accelerator.num_processes))
    val_loader = DataLoader(mine, 100, num_workers=workers, worker_init_fn=outlive_stop)

    def finish(row: dict[str, Any]) -> None:
        """Look at the pictures held out and write the weights, where the recipe has it so for this epoch."""
        kept = recipe.keep and run.epoch % recipe.keep == 0
        if kept or run.epoch % recipe.validate == 0 or run.epoch == 1 or run.epoch > recipe.epochs - 3:
            if "val_loss" not in row:
                mean, std = run.preprocess["mean"], run.preprocess["std"]
                scores = evaluate(run.average.module, val_loader, len(classes), run.device, mean, std)
                if not math.isfinite(scores["loss"]):
                    raise TrainingStopped(
                        f"the run diverged: after epoch {run.epoch} its loss on the pictures held out is "
                        f"{scores['loss']}: begin again in another --out with a smaller learning rate (--set lr=...)"
                    )
                row |= {f"val_{name}": value for name, value in scores.items()}
                run.save()
                if log:
                    for name, value in scores.items():
                        log(f"val/{name}", run.step, value)
            # last.safetensors comes last: where it is there, a run that goes on does not look back.
            names = [f"epoch_{run.epoch:03}.safetensors", "last.safetensors"] if kept else ["last.safetensors"]
            for file in [out / name for name in names] if accelerator.is_main_process else []:
                with writing(file):
                    export(run, file, command, len(pictures), len(val))

    if run.step:  # a run that was lost may have written its state alone
        run.write_logs()
    if run.history and not run.begun and not exported(out / "last.safetensors", run):
        finish(run.history[-1])  # cut after its last step
    while run.epoch < recipe.epochs and not run.asked_to_stop():
        side = recipe.side(run.epoch)
        pictures.transform = augmented(run.epoch)
        figures = run.train_epoch(pictures, workers, total, partial(log, "train/loss") if log else None)
        if figures is None:
            break
        row: dict[str, Any] = {"epoch": run.epoch, "size": side} | figures
        run.history.append(row)
        run.save()
        finish(row)
        accelerator.print(json.dumps(row), file=sys.stderr, flush=True)
    run.close()
    if run.epoch < recipe.epochs:
        return {"stopped": run.stop, "epoch": run.epoch, "step": run.step}
    return run.history[-1]


def _left_out(source: Dataset) -> str:
    """What there is to say of files in a folder that are not read; "" where all are."""
    files: list[str] = getattr(source, "left_out", [])
    if not files:
        return ""
    if len(files) == 1:
        return f"{files[0]} is left out: by its name it is no picture"
    return f"{len(files):,} files are left out that are no pictures by their names: {files[0]} is the first"


def _augmented(recipe: Recipe, epoch: int) -> Callable:
    now = recipe.at(epoch)
    return data.train_transform(
        recipe.side(epoch), now.scale, pad=now.pad, flip=now.flip, randaugment=now.randaugment, erase=now.erase
    )  # fmt: skip


@contextmanager
def _tensorboard(run: Run) -> Iterator[Log | None]:
    """A writer of curves under FOLDER/tensorboard, from the run's step on; None without the package tensorboard, and
    in all processes but the main one. Closed with the block: it writes in a thread, which ends with Python in mid-work.
    """
    writer: Any = None
    if run.accelerator.is_main_process:
        with suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.step + 1)
    try:
        yield writer and (lambda name, at, value: writer.add_scalar(name, value, at))
    finally:
        with suppress(OSError):  # of a full disk, which is said of the files that count
            if writer:
                writer.close()


SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """What signals do is after the block what it was before: a run that has ended heeds none."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:  # which only the main thread may change
                signal.signal(number, handler)


def leave_when_asked(run: Run) -> None:
    """On SIGTERM or Ctrl-C, finish the step, save, and leave. A second Ctrl-C leaves at once."""

    def asked(number: int, *_: object) -> None:
        run.stop = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in SIGNALS:
        signal.signal(number, asked)


def parser() -> argparse.ArgumentParser:
    shown = {INIT: "the network of --init"}
    known = "\n".join(
        f"  {name:16} {shown.get(r.model, r.model)} on {r.data}, {r.epochs} epochs. {r.expects}"
        for name, r in RECIPES.items()
    )
    found = argparse.ArgumentParser(
        prog="python -m lambda_core.training.classify",
        description=__doc__,
        epilog=f"recipes:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("recipe", choices=RECIPES, metavar="RECIPE", help=", ".join(RECIPES))
    found.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    found.add_argument("--out", type=Path, help="folder of the run (runs/RECIPE)")
    found.add_argument(
        "--init",
        metavar="CHECKPOINT",
        help="start from these weights, a name of the zoo, a file, or timm/NAME; a narrower network is widened, and "
        "other classes get a new classifier",
    )
    found.add_argument("--epochs", type=int, help="in place of the recipe's")
    found.add_argument("--precision", choices=CHOICES["precision"], help="in place of the recipe's")
    found.add_argument("--seed", type=int, help=f"0 to {SEEDS - 1:,}; other weights, order and augmentation for each")
    found.add_argument("--compile", action="store_true", default=None, help="torch.compile the network")
    found.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the recipe")
    found.add_argument("--workers", type=whole, default=1, help=WORKERS)
    found.add_argument("--device", type=usable_device, choices=DEVICES, help=TRAINS_ON)
    found.add_argument("--download", action="store_true", help="fetch the data set if it is missing")
    found.add_argument("--dry-run", action="store_true", help="say what will happen: steps, time, memory")
    return found


def main(arguments: list[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(given)
    out = options.out or Path("runs") / options.recipe
    try:
        recipe = changed(RECIPES[options.recipe], options.set)
        names = ("epochs", "precision", "seed", "compile")
        own: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
        done = train(
            replace(recipe, **own),
            out,
            options.data,
            workers=options.workers,
            device=options.device,
            download=options.download,
            init=options.init,
            command=command("python -m lambda_core.training.classify", given, PLACES),
            watch=None if options.dry_run else leave_when_asked,  # a plan has nothing to save
            dry=options.dry_run,
        )
    except data.DataNotFetched as error:
        refuse(str(error) if options.download else f"{error}, or add --download to fetch it")
    except (ValueError, OSError) as error:
        refuse(error)
    except TrainingStopped as error:
        sys.exit(str(error))
    except RuntimeError as error:
        if any(words in str(error) for words in NO_COMPILER):
            why = str(error).strip().splitlines()[0]
            sys.exit(
                f"torch.compile finds no compiler here that it can use: leave --compile out, or install one ({why})"
            )
        if not any(word in str(error) for word in ("gloo", "NCCL")):
            raise
        sys.exit(
            f"another process of this run was lost; the last good state is in {out}: torchrun --max-restarts N starts "
            "all again from there by itself, else run the same command again"
        )
    if options.dry_run and int(os.environ.get("RANK", "0")) == 0:
        print(describe(done))
    if done.get("stopped"):
        saved = f"saved after step {done['step']}" if (out / "state.pt").exists() else "before the first step"
        print(f"asked to stop: {saved}; the same command goes on from there", file=sys.stderr)
        sys.exit(128 + done["stopped"])


if __name__ == "__main__":
    keep_memory()
    main()
