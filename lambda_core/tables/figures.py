"""Published beside recomputed: a `Figure` for every number of the paper's tables, with a verdict."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, NamedTuple

from lambda_core.tables.notes import NOTES
from lambda_core.tables.recipes import RECIPES

RESULTS = files("lambda_core").joinpath("results")


class Metric(NamedTuple):
    """label: as a column. decimals: of a recomputed figure. tolerance: by the printed figure, or None."""

    label: str
    decimals: int = 1
    tolerance: Callable[[float], float] | None = None


def _rounded(published: float) -> float:
    """Half a unit of the last digit printed: every figure of parameters and FLOPs has one decimal."""
    return 0.05


def _memory(published: float) -> float:
    """1.5 %, and 3 % for the round 120."""
    return (0.03 if published == 120 else 0.015) * published


AP = {"": "AP", "_small": "AP small", "_medium": "AP medium", "_large": "AP large"}
METRICS: dict[str, Metric] = {
    "params_m": Metric("params, M", 3, _rounded),
    "flops_b": Metric("FLOPs, B", 3, _rounded),
    "memory_gib": Metric("memory, GiB", 3, _memory),
    "top1": Metric("top-1, %"),
    "throughput": Metric("examples/s", 0),
    **{f"ap_{kind}{size}": Metric(label) for kind in ("box", "mask") for size, label in AP.items()},
}

# match: within the tolerance. erratum, open: see notes.NOTES. differs: anything else, and the comparison fails.
# data: only ImageNet or COCO can tell. unprinted: there is nothing to compare with.
VERDICTS = ("match", "erratum", "open", "differs", "data", "unprinted")


@dataclass(frozen=True)
class Figure:
    """One number of one table. recomputed: here, by formula. measured: here, on data at hand, with what it was."""

    table: str
    row: str
    metric: str
    published: float | None
    recomputed: float | None
    verdict: str
    note: str = ""
    measured: float | None = None
    measured_on: str = ""

    @property
    def ratio(self) -> float | None:
        """Recomputed to published."""
        return self.recomputed / self.published if self.recomputed is not None and self.published else None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio}


def published() -> dict[str, Any]:
    """The paper's tables: {"source": ..., "tables": {name: {"title": ..., "rows": [{"row": ..., metric: number}]}}}"""
    return json.loads(RESULTS.joinpath("paper.json").read_text(encoding="utf-8"))


def measured() -> dict[tuple[str, str, str], tuple[float, str]]:
    """Our own figures by (table, row, metric): from every file of results/ that has a list "paper_rows".

    Its entries are {"table": ..., "row": ..., "metric": ..., "value": ..., "data": "Imagenette, 128 px"}.
    """
    found = {}
    for file in sorted(RESULTS.iterdir(), key=lambda path: path.name):
        content = json.loads(file.read_text(encoding="utf-8")) if file.name.endswith(".json") else None
        for entry in content.get("paper_rows", ()) if isinstance(content, dict) else ():
            found[entry["table"], entry["row"], entry["metric"]] = float(entry["value"]), str(entry["data"])
    return found


def judge(table: str, row: str, metric: str, printed: float | None, here: float | None) -> tuple[str, str]:
    """(verdict, note) of one figure. One that has a note must come out as the note says."""
    tolerance = METRICS[metric].tolerance
    if tolerance is None or (printed is None and here is None):
        return "data", ""
    if here is None:
        return "differs", "No recipe builds this row."
    if printed is None:
        return "unprinted", ""
    note = NOTES.get((table, row, metric))
    if note is not None:
        if abs(here - note.value) <= 0.5 * 10 ** -METRICS[metric].decimals + 1e-9:
            return note.verdict, note.why
        return "differs", f"It should come out as {note.value:.{METRICS[metric].decimals}f}. {note.why}"
    return ("match" if abs(here - printed) <= tolerance(printed) + 1e-9 else "differs"), ""


def compare(table: str) -> list[Figure]:
    """Every figure of one table of the paper, row by row. Raises ValueError for an unknown table."""
    tables = published()["tables"]
    if table not in tables:
        raise ValueError(f"no table is called {table!r}; there are {', '.join(tables)}")
    own, found = measured(), []
    for row in tables[table]["rows"]:
        recipe = RECIPES.get(table, {}).get(row["row"])
        here = recipe.figures() if recipe else {}
        for metric in METRICS:
            if metric not in row:
                continue
            verdict, note = judge(table, row["row"], metric, row[metric], here.get(metric))
            value, data = own.get((table, row["row"], metric), (None, ""))
            found.append(Figure(table, row["row"], metric, row[metric], here.get(metric), verdict, note, value, data))
    return found
