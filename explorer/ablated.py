"""The small networks of the ablations, and the large pair, as pages tell of them: accuracy, spread, epochs.

Their figures are in the library's results; where they are not, pages say so in a sentence.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from lambda_core.training import ablations
from lambda_core.training.ablation_table import conditions
from lambda_core.training.ablations import ABLATIONS, NOTHING

Network = Mapping[str, Any]  # "name", "parameters", "top1", "spread", "runs" of {"seed", "top1", "history"}


def networks() -> dict[str, Network]:
    """Those that were trained, by name, small and large."""
    found = {}
    for file in (ablations.RESULTS, ablations.RESULTS.with_name("flagship.json")):
        if file.exists():
            found.update(
                {network["name"]: network for network in json.loads(file.read_text(encoding="utf-8"))["networks"]}
            )
    return found


def where() -> str:
    """What the small ones were trained and measured on; empty where there are none."""
    report = ablations.report()
    return conditions(report) if report else ""


def accuracy(network: Network) -> str:
    """ "74.2 %, spread 0.8 over 3 seeds": the mean, and the best seed minus the worst."""
    seeds = len(network["runs"])
    more = f"spread {network['spread']:.1f} over {seeds} seeds" if seeds > 1 else "one seed"
    return f"{network['top1']:.1f}\u00a0%, {more}"


def missing(names: Collection[str]) -> str:
    """A sentence about those of `names` that were not trained yet, or nothing."""
    known = networks()
    left = [name for name in names if name not in known]
    if not left:
        return ""
    if not any(name in known for name in ABLATIONS):
        return NOTHING
    which = "; ".join(ABLATIONS[name].title for name in left)
    command = f"python -m lambda_core.training.ablations --data DIR --only {' '.join(left)}"
    return f"Not trained yet: {which}. `{command}` does it."
