"""The paper's ablations on small networks, all under one recipe:

python -m lambda_core.training.ablations --data DIR [--only NAME ...] [--seeds N] [--out FOLDER]

What has been trained is in the results and is not trained again: the same command goes on after a stop, in the middle
of a network too. The first seed of each network goes into the zoo.
"""

import argparse
import csv
import json
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from lambda_core import data
from lambda_core.models import build
from lambda_core.training import classify
from lambda_core.training.config import RECIPES, Recipe
from lambda_core.training.evaluate import measure
from lambda_core.training.faults import TrainingStopped, write_atomically
from lambda_core.training.publish import publish

RESULTS = Path(__file__).parents[1] / "results" / "ablations.json"
SHARED = RECIPES["imagenette-ablation"]
SIDE = SHARED.size
WHOLE = {"image_size": SIDE}


@dataclass(frozen=True)
class Ablation:
    """One network: what it has in place of the base, and the rows of the paper's tables whose counterpart it is."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[tuple[str, str], ...] = ()

    def recipe(self, seed: int = 0) -> Recipe:
        return replace(SHARED, overrides={**SHARED.overrides, **self.overrides}, seed=seed)


def _layer(*rows: tuple[str, str], **options: Any) -> Ablation:
    return Ablation({"layer": {"scope": 23} | options}, rows)


# The base is CCLL with the paper's r = 23. Its lambda layers see maps of 12 x 12 and less, where that is all: the row
# of r = 23 and the global one are the same network here.
ABLATIONS: dict[str, Ablation] = {
    "micro_ccll": _layer(
        ("layers", "lambda layer"),
        ("content_vs_position", "content and position"),
        ("normalization", "softmax on keys (default)"),
        ("placement", "CCLL"),
        ("scope", "23x23"),
        ("scope", "global"),
    ),
    "micro_cccc": Ablation({"stages": "CCCC"}, (("layers", "conv"), ("placement", "CCCC"))),
    "micro_content": _layer(("content_vs_position", "content"), position=False),
    "micro_position": _layer(("content_vs_position", "position"), content=False),
    "micro_scope3": _layer(("scope", "3x3"), scope=3),
    "micro_scope7": _layer(("scope", "7x7"), scope=7),
    "micro_scope15": _layer(("scope", "15x15"), scope=15),
    "micro_llll": Ablation({"stages": "LLLL"}, (("placement", "LLLL"),)),
    "micro_no_key_norm": _layer(("normalization", "non-normalized keys"), key_norm="none"),
    "micro_l2": _layer(("normalization", "L2-normalized keys"), key_norm="l2"),
    "micro_softmax_both": _layer(("normalization", "softmax on keys and queries"), key_norm="softmax_keys_queries"),
    "micro_no_batch_norm": _layer(
        ("normalization", "no batch normalization on queries and values"), norm_qv=False
    ),
    "micro_se": Ablation({"stages": "CCSS"}, (("layers", "conv + channel attention (squeeze-excite)"),)),
    "micro_cccl": Ablation({"stages": "CCCL"}, (("placement", "CCCL"),)),
    "micro_clll": Ablation({"stages": "CLLL"}, (("placement", "CLLL"),)),
    "micro_llcc": Ablation({"stages": "LLCC"}, (("placement", "LLCC"),)),
    "micro_u4": _layer(("layers", "lambda layer (u=4)"), dim_u=4),
    "micro_attention": Ablation({"stages": "CCGG"} | WHOLE, (("complexity", "global self-attention"),)),
}  # fmt: skip


def _plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON gives it back, without what does not change the result."""
    kept = {name: value for name, value in asdict(recipe).items() if name not in ("expects", "seed", "overrides")}
    return json.loads(json.dumps(kept))


def trained() -> dict[str, dict[int, dict[str, Any]]]:
    """What the results hold for the recipe as it is now: {name: {seed: {"top1", "loss", "history"}}}"""
    if not RESULTS.exists():
        return {}
    content = json.loads(RESULTS.read_text())
    if content["recipe"] != _plain(SHARED):
        return {}
    return {row["name"]: {run["seed"]: run for run in row["runs"]} for row in content["networks"]}


def _summary(name: str, runs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    recipe, top1 = ABLATIONS[name].recipe(), [run["top1"] for run in runs.values()]
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
        return f"Imagenette at {SIDE} px, {SHARED.epochs} epochs, {runs} seed{'s' if runs > 1 else ''}"

    report = {
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
    write_atomically(RESULTS, lambda path: path.write_text(json.dumps(report, indent=1) + "\n"))


def missing(names: list[str], seeds: int, found: Mapping[str, Mapping[int, Any]]) -> Iterator[tuple[int, str]]:
    """What is left to train, all networks of one seed before the next."""
    for seed in range(seeds):
        yield from ((seed, name) for name in names if seed not in found.get(name, {}))


def train(name: str, seed: int, out: Path, folder: str | None, device: str | None = None) -> dict[str, Any] | None:
    """One network; its figures, as evaluated on its file, or None if the run was asked to stop."""
    place = out / f"{name}_{seed}"
    done = classify.train(
        ABLATIONS[name].recipe(seed), place, folder, device=device, workers=0, watch=classify.leave_when_asked,
        command=f"python -m lambda_core.training.ablations --data DIR --only {name}",
    )  # fmt: skip
    if done.get("stopped"):
        return None
    file = place / "last.safetensors"
    figures = publish(file, name, folder, workers=0) if seed == 0 else measure(str(file), folder, 0)
    return {
        "seed": seed,
        "top1": figures["top1"],
        "loss": figures["loss"],
        "history": _history(place),
    }


def _history(place: Path) -> list[dict[str, float]]:
    """The lines of a run's log, without what was not measured."""
    with (place / "log.csv").open() as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lambda_core.training.ablations", description=__doc__)
    parser.add_argument("--data", help="folder of the data sets (else LAMBDA_DATA, else ./data)")
    parser.add_argument("--only", nargs="+", choices=ABLATIONS, default=list(ABLATIONS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--device", choices=["cpu", "cuda"])
    options = parser.parse_args(arguments)
    try:
        for seed, name in missing(options.only, options.seeds, trained()):
            print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
            row = train(name, seed, options.out, options.data, options.device)
            if row is None:
                sys.exit(classify.STOPPED)
            found = trained()  # read again: another process may have added to it
            found.setdefault(name, {})[seed] = row
            write(found)
    except (data.DataMissing, data.DataBroken, TrainingStopped, ValueError) as error:
        sys.exit(str(error).strip().splitlines()[-1])


if __name__ == "__main__":
    main()
