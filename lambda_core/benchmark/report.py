"""What the benchmark prints: a table at the end, compact, since the end of a long output is what one sees."""

from collections.abc import Iterable, Mapping
from typing import Any

UNITS = {"step": "ms", "inference": "ms", "memory": "MiB"}


def number(value: float | None, digits: int = 2) -> str:
    """A dash for what could not run."""
    return "-" if value is None else f"{value:.{digits}f}"


def table(rows: Iterable[Iterable[str]]) -> str:
    """Columns as wide as their widest entry, the first to the left, numbers to the right."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def failures(failed: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A line for each that could not run, or was left out for its answer."""
    return [f"  {name}, {what}: {why}" for what, each in failed.items() for name, why in each.items()]


def layer(row: dict[str, Any]) -> str:
    """One stage, as soon as it is known."""
    lines = [f"d={row['d']}, {row['side']} x {row['side']}, batch {row['batch']}, engine {row['engine']}"]
    for what, unit in UNITS.items():
        each = "  ".join(f"{name} {number(value, 1)}" for name, value in row[what].items())
        ratios = "".join(
            f"  {key.replace('_', ' ')} {row[key][what]:.2f}"
            for key in ("ratio", "ratio_compiled")
            if what in row.get(key, {})
        )
        lines.append(f"  {what:10} {each} {unit}{ratios}")
    return "\n".join(lines + failures(row["failed"]))


def layers(rows: list[dict[str, Any]]) -> str:
    """All stages: contestants side by side."""
    names = list(dict.fromkeys(name for row in rows for name in row["step"]))
    keys = [key for key in ("ratio", "ratio_compiled") if key in rows[0]]
    lines = [["d, map", "", *names, *(key.replace("_", " ") for key in keys)]]
    for row in rows:
        for what, unit in UNITS.items():
            figures = [number(row[what].get(name)) for name in names] + [number(row[key].get(what)) for key in keys]
            lines.append([f"{row['d']}, {row['side']} x {row['side']}", f"{what} {unit}", *figures])
    return table(lines)


def engines(limits: dict[str, Any]) -> str:
    """Each engine's time, forward and with the backward pass, over the least that it could take."""
    rate, bandwidth = limits["multiply_adds_per_second"], limits["bytes_per_second"]
    lines = [["map", "engine", "forward ms", "limit", "ratio", "step ms", "limit", "ratio"]]
    for row in limits["engines"]:
        cells = [f"{row['side']} x {row['side']}", row["engine"]]
        for time, least in ((row["ms"], row["least_ms"]), (row["step_ms"], row["least_step_ms"])):
            cells += [number(time), number(least), number(None if time is None else time / least, 1)]
        lines.append(cells)
    rows = [row for row in limits["engines"] if "failed" in row]
    failed = {f"{row['engine']}, {row['side']} x {row['side']}": row["failed"] for row in rows}
    head = f"this machine: {rate / 1e9:.1f} G multiply-adds/s, {bandwidth / 1e9:.1f} GB/s"
    return "\n".join([head, table(lines), *failures({"did not run": failed})])


def models(found: dict[str, Any]) -> str:
    """Networks below each other; throughput relative to ResNet-50 beside the paper's."""
    lines = [["network", "step ms", "img/s", "relative", "inference ms", "img/s", "relative", "paper", "step MiB"]]
    for name in found["step"]:
        cells = [name]
        for what in ("step", "inference"):
            cells += [number(found[what][name], 1), number(found["images_per_second"][what][name], 0)]
            cells.append(number(found["relative_throughput"][what][name]))
        cells += [number(found["paper"]["relative_throughput"].get(name)), number(found["memory"][name], 0)]
        lines.append(cells)
    return "\n".join([table(lines), *failures(found["failed"])])
