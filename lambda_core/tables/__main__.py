"""The tables of the LambdaNetworks paper, published beside recomputed.

Parameters, FLOPs and memory come from formulas, on networks that are built but never run. Accuracies are printed as
published, beside our own on other data where there are any. Ends with status 1 if a figure does not come out:
parameters and FLOPs to 0.05 of a million or billion, memory to 1.5 % (3 % for the round 120), an erratum as its note
says.
"""

import argparse
import sys
import textwrap
from collections.abc import Iterable
from datetime import date

import torch

from lambda_core.arguments import command, print_in_utf8, writable, write_json
from lambda_core.tables.figures import METRICS, VERDICTS, Figure, compare, published
from lambda_core.tables.recipes import RECIPES

DASH = "–"


def cells(figure: Figure) -> list[str]:
    """What one figure puts in a line: published, recomputed and their ratio, or published and measured."""
    decimals = METRICS[figure.metric].decimals
    numbers = [(figure.published, f".{1 if decimals == 3 else decimals}f")]
    if figure.metric == "memory_gib":
        numbers = [(figure.published, "g")]
    if METRICS[figure.metric].tolerance is not None:
        numbers += [(figure.recomputed, f".{decimals}f"), (figure.ratio, ".3f")]
    else:
        numbers += [(figure.measured, f".{decimals}f")]
    return [DASH if number is None else format(number, form) for number, form in numbers]


def headings(metric: str) -> list[str]:
    label = METRICS[metric].label
    return [label, "here", "ratio"] if METRICS[metric].tolerance is not None else [label, "ours"]


def aligned(lines: list[list[str]]) -> Iterable[str]:
    """Columns as wide as their widest cell, numbers to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        first, *numbers, last = line
        middle = "  ".join(cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True))
        yield f"  {first.ljust(widths[0])}  {middle}  {last}".rstrip()


def wrapped(note: str) -> str:
    return textwrap.fill(note, 100, initial_indent="  ", subsequent_indent="      ")


def as_text(table: str, figures: list[Figure]) -> str:
    """One table for a terminal: a line a row, with its order of growth where the paper gives one; the notes below."""
    printed = published()["tables"][table]
    growth = {row["row"]: f", Θ({row['time']})" for row in printed["rows"] if "time" in row}
    metrics = [metric for metric in METRICS if any(figure.metric == metric for figure in figures)]
    lines = [["", *(heading for metric in metrics for heading in headings(metric)), "verdict"]]
    notes: list[str] = []
    for row in dict.fromkeys(figure.row for figure in figures):
        own = {figure.metric: figure for figure in figures if figure.row == row}
        verdicts: dict[str, list[str]] = {}
        for metric, figure in own.items():
            if METRICS[metric].tolerance is None:
                continue
            mark = ""
            if figure.note:
                notes.append(wrapped(f"[{len(notes) + 1}] {row}: {figure.note}"))
                mark = f" [{len(notes)}]"
            verdicts.setdefault(figure.verdict + mark, []).append(METRICS[metric].label.partition(",")[0])
        line = [cell for metric in metrics for cell in cells(own[metric])]
        mixed = [
            f"{verdict} ({' and '.join(of)})" if len(verdicts) > 1 else verdict for verdict, of in verdicts.items()
        ]
        lines.append([row + growth.get(row, ""), *line, ", ".join(mixed) or "data"])
    measured = [f"  ours: {data}" for data in dict.fromkeys(figure.measured_on for figure in figures) if data]
    return "\n".join([f"{table}: {printed['title']}", *aligned(lines), *notes, *measured, ""])


def summary(figures: list[Figure]) -> str:
    counts = {verdict: sum(figure.verdict == verdict for figure in figures) for verdict in VERDICTS}
    words = {
        "match": "match", "erratum": "by errata of the paper", "open": "open", "differs": "differ",
        "unprinted": "not printed in the paper", "data": "of accuracy or speed, which no formula gives",
    }  # fmt: skip
    return "Figures: " + ", ".join(f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict])


def derivation(table: str, row: str | None) -> str:
    """Every term behind one row. Raises ValueError for a row without a recipe."""
    recipe = RECIPES.get(table, {}).get(row or "")
    if recipe is None:
        raise ValueError(
            f"no row of {table} is called {row!r} and has a formula; there are {', '.join(RECIPES[table])}"
        )
    figures = ", ".join(f"{METRICS[metric].label} {value:.6f}" for metric, value in recipe.figures().items())
    return "\n".join([f"{recipe}: {figures}", *recipe.derivation()])


def main(arguments: list[str] | None = None) -> None:
    tables = published()["tables"]
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--table", choices=tables, help="this one alone")
    parser.add_argument("--derive", metavar="ROW", help="with --table: every term behind the figures of one row")
    parser.add_argument("--json", type=writable, metavar="FILE", help="also write the figures to this file")
    options = parser.parse_args(arguments)
    if options.derive is not None:
        if options.table not in RECIPES:
            parser.error(f"--derive needs --table with one of {', '.join(RECIPES)}")
        try:
            print(derivation(options.table, options.derive))
        except ValueError as error:
            parser.error(str(error))
        return
    figures = []
    for name in [options.table] if options.table else tables:
        found = compare(name)
        figures += found
        print(as_text(name, found), flush=True)
    print(summary(figures))
    if options.json:
        content = {
            "command": command("python -m lambda_core.tables", arguments),
            "date": date.today().isoformat(),
            "torch": torch.__version__,
            "figures": [figure.as_dict() for figure in figures],
        }
        write_json(options.json, content)
    if wrong := [figure for figure in figures if figure.verdict == "differs"]:
        sys.exit(
            f"{len(wrong)} of {len(figures)} figures do not come out: {', '.join(f'{f.table} {f.row}' for f in wrong)}"
        )


if __name__ == "__main__":
    print_in_utf8()
    main()
