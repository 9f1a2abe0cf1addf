"""The trained ablations beside the paper's: which orderings repeat on small networks, and which do not."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lambda_core.tables import published
from lambda_core.training.ablations import ABLATIONS, BASE, NOTHING

DASH = "–"
HEADINGS = (
    "network", "what it is", "parameters", "seeds", "top-1, %", "spread", "to the base", "the paper's row", "top-1, %",
    "to its base", "repeats",
)  # fmt: skip
TO_THE_LEFT = ("network", "what it is", "the paper's row", "repeats")


@dataclass(frozen=True)
class Line:
    """One network beside one row of the paper, or beside none.

    top1: mean over seeds, in per cent. spread: largest minus smallest, None for one seed. change: to the base, here.
    noise: two standard errors of that change, None where there are no seeds to tell. paper, paper_change: the row's
    top-1, and its difference to the base's row of the same table, where both are printed.
    """

    name: str
    title: str
    parameters: int
    seeds: int
    top1: float
    spread: float | None
    change: float | None = None
    noise: float | None = None
    table: str = ""
    row: str = ""
    paper: float | None = None
    paper_change: float | None = None

    @property
    def repeats(self) -> str:
        """Whether the difference to the base has the sign of the paper's, as far as the seeds can tell."""
        if self.change is None or self.paper_change is None:
            return DASH
        if self.noise is None:
            return "one seed"
        if abs(self.change) <= self.noise:
            return "within the noise"
        return "yes" if self.change * self.paper_change > 0 else "no"


def paper() -> dict[tuple[str, str], float]:
    """The paper's accuracies by (table, row)."""
    tables = published()["tables"]
    return {(name, row["row"]): row["top1"] for name in tables for row in tables[name]["rows"] if row.get("top1")}


def _of(network: Mapping[str, Any]) -> dict[str, Any]:
    """What a line says of a network alone."""
    seeds = len(network["runs"])
    return {
        "name": network["name"], "title": ABLATIONS[network["name"]].title, "parameters": network["parameters"],
        "seeds": seeds, "top1": network["top1"], "spread": network["spread"] if seeds > 1 else None,
    }  # fmt: skip


def lines(report: Mapping[str, Any]) -> list[Line]:
    """A line for each network and each row of the paper whose counterpart it is; the base first, once."""
    there = {network["name"]: _of(network) for network in report["networks"] if network["name"] in ABLATIONS}
    base, printed, deviation = there.get(BASE), paper(), seed_deviation(report)
    beside: dict[str, str] = {}
    for table, row in ABLATIONS[BASE].rows:
        beside.setdefault(table, row)
    found = [Line(**base)] if base else []
    for name, own in there.items():
        if name == BASE:
            continue
        if base:
            noise = None if deviation is None else 2 * deviation * (1 / own["seeds"] + 1 / base["seeds"]) ** 0.5
            own |= {"change": own["top1"] - base["top1"], "noise": noise}
        for table, row in ABLATIONS[name].rows:
            here, reference = printed.get((table, row)), printed.get((table, beside.get(table, "")))
            change = None if here is None or reference is None else here - reference
            found.append(Line(**own, table=table, row=row, paper=here, paper_change=change))
    return found


def seed_deviation(report: Mapping[str, Any]) -> float | None:
    """The standard deviation of top-1 between seeds, pooled over all networks: √(Σ (x - mean)² / Σ (seeds - 1)).

    Two or three seeds of one network are too few to tell its own. None where no network has two.
    """
    rows = [[run["top1"] for run in network["runs"]] for network in report["networks"] if network["name"] in ABLATIONS]
    freedom = sum(len(row) - 1 for row in rows)
    return (sum((x - fmean(row)) ** 2 for row in rows for x in row) / freedom) ** 0.5 if freedom else None


def conditions(report: Mapping[str, Any]) -> str:
    """What all were trained and measured on: "Imagenette at 96 px, 10 epochs"."""
    recipe = report["recipe"]
    part = f", {recipe['pictures']:,} photographs" if recipe.get("pictures") else ""
    return f"Imagenette at {recipe['size']} px{part}, {recipe['epochs']} epochs"


def signed(number: float | None) -> str:
    """ "+1.2", "−0.3", or a dash."""
    if number is None:
        return DASH
    return "0.0" if abs(number) < 0.05 else f"{number:+.1f}".replace("-", "−")


def _number(number: float | None) -> str:
    return DASH if number is None else f"{number:.1f}"


def markdown(report: Mapping[str, Any]) -> str:
    """The table, and a sentence on what its columns say."""
    found = lines(report)
    if not found:
        return NOTHING
    rows, last = [], ""
    for line in found:
        own = (
            f"`{line.name}`", line.title, f"{line.parameters / 1e6:.2f} M", str(line.seeds), _number(line.top1),
            _number(line.spread), "the base" if line.name == BASE else signed(line.change),
        )  # fmt: skip
        beside = f"{line.table}: {line.row}" if line.table else DASH
        rows.append(
            (*(("",) * len(own) if line.name == last else own), beside, _number(line.paper), signed(line.paper_change),
             line.repeats)
        )  # fmt: skip
        last = line.name
    marks = [":--" if heading in TO_THE_LEFT else "--:" for heading in HEADINGS]
    told = (
        f"{conditions(report)}; the paper's are ResNet-50 on ImageNet, so only the differences compare, each to the "
        "base of its own table. *spread*: the best seed minus the worst. *repeats*: whether the difference has the "
        "paper's sign"
    )
    if (deviation := seed_deviation(report)) is not None:
        told += f"; within the noise: smaller than two standard errors, of a deviation between seeds of {deviation:.2f}"
    told += "."
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (HEADINGS, marks, *rows)] + ["", told])
