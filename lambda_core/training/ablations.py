"""The paper's ablations on small networks, all under one recipe:

python -m lambda_core.training.ablations --data DIR [--only NAME ...] [--seeds N] [--jobs N] [--out FOLDER]
python -m lambda_core.training.ablations --table

What has been trained is in the results and is not trained again: the same command goes on after a stop, in the middle
of a network too. The first seed of each network goes into the zoo. --table prints what there is beside the paper's, as
Markdown; it needs nothing of what training needs.
"""

import argparse
import json
import os
import signal
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lambda_core.allocator import keep_memory
from lambda_core.arguments import DEVICES, TRAINS_ON, positive, print_in_utf8, refuse, usable_device
from lambda_core.checkpoints import load_checkpoint
from lambda_core.meta import shapes_only
from lambda_core.models import build
from lambda_core.training.alone import LOCK, in_turn
from lambda_core.training.config import RECIPES, Recipe
from lambda_core.training.faults import TrainingStopped, write_atomically

if TYPE_CHECKING:
    from lambda_core.training.loop import Run

RESULTS = Path(__file__).parents[1] / "results" / "ablations.json"
SHARED = RECIPES["imagenette-ablation"]
SIDE = SHARED.size
WHOLE = {"image_size": SIDE}
LARGEST_MAP = SIDE // 8  # side of the maps of the third stage, the first where the base has lambda layers
NOTHING = (
    "The networks of the ablations have not been trained yet: "
    "`python -m lambda_core.training.ablations --data DIR` does it."
)


@dataclass(frozen=True)
class Ablation:
    """One network: its name for people, what it has in place of the base, and its counterparts in the paper's tables.

    rows: (table, row), the first of which tells most of it.
    """

    title: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[tuple[str, str], ...] = ()

    def recipe(self, seed: int = 0) -> Recipe:
        return replace(SHARED, overrides={**SHARED.overrides, **self.overrides}, seed=seed)


def _layer(title: str, *rows: tuple[str, str], **options: Any) -> Ablation:
    return Ablation(title, {"layer": {"scope": 23} | options}, rows)


def _stages(title: str, stages: str, *rows: tuple[str, str], **more: Any) -> Ablation:
    return Ablation(title, {"stages": stages} | more, rows)


# The base is CCLL with the paper's r = 23. Its lambda layers see maps of LARGEST_MAP and less, where that is all: the
# row of r = 23 and the global one are the same network here.
BASE = "micro_ccll"
ABLATIONS: dict[str, Ablation] = {
    "micro_ccll": _layer(
        "lambda in the last two stages (CCLL)",
        ("layers", "lambda layer"),
        ("content_vs_position", "content and position"),
        ("normalization", "softmax on keys (default)"),
        ("placement", "CCLL"),
        ("scope", "23x23"),
        ("scope", "global"),
    ),
    "micro_cccc": _stages("convolutions only (CCCC)", "CCCC", ("layers", "conv"), ("placement", "CCCC")),
    "micro_content": _layer("lambda, content only", ("content_vs_position", "content"), position=False),
    "micro_position": _layer("lambda, position only", ("content_vs_position", "position"), content=False),
    "micro_scope3": _layer("lambda, scope 3 × 3", ("scope", "3x3"), scope=3),
    "micro_scope7": _layer("lambda, scope 7 × 7", ("scope", "7x7"), scope=7),
    "micro_scope15": _layer("lambda, scope 15 × 15", ("scope", "15x15"), scope=15),
    "micro_llll": _stages("lambda in all stages (LLLL)", "LLLL", ("placement", "LLLL")),
    "micro_no_key_norm": _layer(
        "lambda, keys not normalized", ("normalization", "non-normalized keys"), key_norm="none"
    ),
    "micro_l2": _layer("lambda, keys of length 1 (L2)", ("normalization", "L2-normalized keys"), key_norm="l2"),
    "micro_softmax_both": _layer(
        "lambda, softmax on keys and queries", ("normalization", "softmax on keys and queries"),
        key_norm="softmax_keys_queries",
    ),
    "micro_no_batch_norm": _layer(
        "lambda, no batch norm on queries and values",
        ("normalization", "no batch normalization on queries and values"), norm_qv=False,
    ),
    "micro_se": _stages(
        "convolutions, squeeze-excite in the last two stages", "CCSS",
        ("layers", "conv + channel attention (squeeze-excite)"),
    ),
    "micro_cccl": _stages("lambda in the last stage (CCCL)", "CCCL", ("placement", "CCCL")),
    "micro_clll": _stages("lambda in the last three stages (CLLL)", "CLLL", ("placement", "CLLL")),
    "micro_llcc": _stages("lambda in the first two stages (LLCC)", "LLCC", ("placement", "LLCC")),
    "micro_u4": _layer("lambda, intra-depth u = 4", ("layers", "lambda layer (u=4)"), dim_u=4),
    "micro_attention": _stages(
        "self-attention in the last two stages", "CCGG", ("complexity", "global self-attention"), **WHOLE
    ),
}  # fmt: skip


def _plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON gives it back, without what does not change the result."""
    kept = {name: value for name, value in asdict(recipe).items() if name not in ("expects", "seed", "overrides")}
    return json.loads(json.dumps(kept))


def report() -> dict[str, Any] | None:
    """The results as they were written, or None where there are none."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else None


def trained() -> dict[str, dict[int, dict[str, Any]]]:
    """What the results hold for the recipe as it is now: {name: {seed: {"top1", "loss", "history"}}}"""
    content = report()
    if content is None:
        return {}
    then = _plain(Recipe(model=SHARED.model)) | content["recipe"]  # what recipes could not say then has its default
    if then != _plain(SHARED):
        return {}
    return {row["name"]: {run["seed"]: run for run in row["runs"]} for row in content["networks"]}


def _summary(name: str, runs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    recipe, top1 = ABLATIONS[name].recipe(), [run["top1"] for run in runs.values()]
    with shapes_only():  # it is counted, and not run
        model = build(recipe.model, **recipe.overrides)
    return {
        "name": name,
        "overrides": ABLATIONS[name].overrides,
        "parameters": sum(p.numel() for p in model.parameters()),
        "top1": statistics.mean(top1),
        "spread": max(top1) - min(top1),
        "runs": list(runs.values()),
    }


def write(found: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> None:
    """All results, and each as a figure beside the paper's."""
    networks = [_summary(name, found[name]) for name in ABLATIONS if found.get(name)]

    def where(runs: int) -> str:
        seeds = f"{runs} seed{'s' if runs > 1 else ''}"
        return f"small networks (micro_*), Imagenette at {SIDE} px, {SHARED.epochs} epochs, {seeds}"

    content = {
        "command": "python -m lambda_core.training.ablations --data DIR",
        "date": date.today().isoformat(),
        "recipe": _plain(SHARED),
        "networks": networks,
        "paper_rows": [
            {"table": table, "row": row, "metric": "top1", "value": round(network["top1"], 1),
             "data": where(len(network["runs"]))}
            for network in networks for table, row in ABLATIONS[network["name"]].rows
        ],
    }  # fmt: skip
    write_atomically(RESULTS, lambda path: path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8"))


def add(name: str, row: dict[str, Any]) -> None:
    """Put the figures of one more network into the results, which another process may be adding to."""
    with in_turn(RESULTS.with_name(LOCK)):
        found = trained()
        found.setdefault(name, {})[row["seed"]] = row
        write({of: dict(sorted(runs.items())) for of, runs in found.items()})


def missing(names: list[str], seeds: int, found: Mapping[str, Mapping[int, Any]]) -> Iterator[tuple[int, str]]:
    """What is left to train, all networks of one seed before the next."""
    for seed in range(seeds):
        yield from ((seed, name) for name in names if seed not in found.get(name, {}))


def nothing_left(names: list[str], found: Mapping[str, Mapping[int, Any]]) -> Iterator[str]:
    """A line for the networks of each number of seeds, where all that were asked for have been trained."""
    for seeds in sorted({len(found[name]) for name in names}):
        which = [name for name in names if len(found[name]) == seeds]
        have = "have" if len(which) > 1 else "has"
        yield (
            f"{', '.join(which)} {have} been trained with {seeds} seed{'s' if seeds > 1 else ''}: --seeds N trains more"
        )


def train(name: str, seed: int, out: Path, folder: str | None, device: str | None = None) -> dict[str, Any] | int:
    """One network; its figures, as evaluated on its file, or the signal by which it was asked to stop."""
    from lambda_core.training import classify
    from lambda_core.training.evaluate import measure
    from lambda_core.training.publish import history, publish

    place, runs = out / f"{name}_{seed}", list["Run"]()

    def watch(run: "Run") -> None:
        runs.append(run)
        classify.leave_when_asked(run)
        if ASKED:
            run.stop = ASKED[0]

    classify.train(
        ABLATIONS[name].recipe(seed), place, folder, device=device, workers=0, watch=watch,
        command=f"python -m lambda_core.training.ablations --data DIR --only {name}",
    )  # fmt: skip
    if runs[0].stop:  # also one whose last epoch was over by then: what else there is to do can wait
        return runs[0].stop
    file = place / "last.safetensors"
    figures = publish(file, name, folder, workers=0) if seed == 0 else measure(str(file), folder, 0, device or "cpu")
    return {
        "seed": seed,
        "top1": figures["top1"],
        "loss": figures["loss"],
        "machine": load_checkpoint(file).card["machine"],
        "history": history(place),
    }


ASKED: list[int] = []  # signals that came to a process of `each` while it did not train


def each(
    jobs: Iterable[tuple[int, str]], at_once: int, one: Callable[..., Any], *arguments: Any
) -> Iterator[tuple[str, Any]]:
    """(name, one(name, seed, *arguments)) of each (seed, name) as it is done, so many in processes of their own at a
    time. None begins after SIGTERM or Ctrl-C, or after one whose result is a signal's number: it was asked to stop.
    Raises TrainingStopped if a process is lost.
    """
    if at_once == 1:
        for seed, name in jobs:
            print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
            row = one(name, seed, *arguments)
            yield name, row
            if isinstance(row, int):
                return
        return
    threads, left, asked = max(1, (os.cpu_count() or 1) // at_once), iter(jobs), list[int]()
    waiting: dict[Future, str] = {}

    def stop(number: int, *_: object) -> None:
        """Each saves its run and leaves."""
        asked.append(number)
        for child in active_children():
            child.terminate()

    with ProcessPoolExecutor(at_once, get_context("spawn"), _begin, (threads,)) as pool:
        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while True:
                # No more than run at a time: what waits in the pool's queue could not be called back from there.
                while not asked and len(waiting) < at_once and (job := next(left, None)):
                    waiting[pool.submit(one, job[1], job[0], *arguments)] = job[1]
                if not waiting:
                    break
                for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                    name, row = waiting.pop(done), done.result()
                    if isinstance(row, int):
                        asked.append(row)
                    yield name, row
            if asked and (job := next(left, None)):  # they may all have been done by then, and this one is not
                yield job[1], asked[0]
        except BrokenProcessPool:
            raise TrainingStopped("a process was lost or stopped: the same command goes on where each was") from None
        finally:
            pool.shutdown(cancel_futures=True)
            for number, handler in before.items():
                signal.signal(number, handler)


def _begin(threads: int) -> None:
    """A process of `each`. It outlives a stop while it does not train: it may hold a lock that the others need."""
    keep_memory()
    torch.set_num_threads(threads)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda told, _: ASKED.append(told))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.training.ablations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument(
        "--only", nargs="+", choices=ABLATIONS, default=list(ABLATIONS), metavar="NAME",
        help=f"train these alone, of {', '.join(ABLATIONS)}",
    )  # fmt: skip
    parser.add_argument("--seeds", type=positive, default=1, help="networks of each kind, from as many seeds (1)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/ablations"), metavar="FOLDER", help="of the runs (%(default)s)"
    )
    parser.add_argument("--device", type=usable_device, choices=DEVICES, help=TRAINS_ON)
    parser.add_argument("--jobs", type=positive, default=1, help="networks trained at a time, each in a process (1)")
    parser.add_argument("--table", action="store_true", help="print the results as Markdown, and train nothing")
    options = parser.parse_args(arguments)
    if options.table:
        from lambda_core.training.ablation_table import markdown

        found = report()
        print(NOTHING if found is None else markdown(found))
        return
    before = trained()
    jobs = list(missing(options.only, options.seeds, before))
    if not jobs:
        print("\n".join(nothing_left(options.only, before)))
        return
    stopped = 0
    try:
        for name, row in each(jobs, options.jobs, train, options.out, options.data, options.device):
            if isinstance(row, int):
                stopped = stopped or row
            else:
                add(name, row)
    except (ValueError, OSError) as error:
        refuse(error)
    except TrainingStopped as error:
        sys.exit(str(error).strip().splitlines()[-1])
    if stopped:
        sys.exit(128 + stopped)


if __name__ == "__main__":
    print_in_utf8()
    keep_memory()
    main()
