"""Download buttons of the memory page: curves as CSV and JSON, the charts, and the Python behind them."""

import csv
import io
import json
from functools import partial

import streamlit as st

from explorer import budget, memory_here, memory_legend
from explorer.budget import AUTO, Sizes
from lambda_core.measuring import Machine


def as_csv(sizes: Sizes, axis: str, count: str) -> str:
    found = budget.rows(sizes, axis, count)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(found[0]))
    writer.writeheader()
    writer.writerows(found)
    return buffer.getvalue()


def as_json(sizes: Sizes, axis: str, count: str, machine: Machine) -> str:
    content = {
        "counted": budget.COUNTS[count], "along": axis, "machine_bytes": machine.total, "gpu_bytes": machine.gpu,
        "curves": budget.rows(sizes, axis, count),
    }  # fmt: skip
    return json.dumps(content, indent=1)


def snippet(sizes: Sizes) -> str:
    """A program that prints the terms of both layers, and measures them where they fit."""
    points = [sizes.point(kind) for kind in ("global attention", AUTO)]
    return f'''"""What attention and lambda layers keep for the backward pass: by formula, and measured."""

from lambda_core.measuring import Point, machine, measure

for point in ({points[0]},
              {points[1]}):
    found = point.expected(bytes_an_entry={sizes.entry})
    print(point.kind)
    for term in (*found.maps, *found.rest):
        print("   ", term)
    print(f"    {{found.bytes / 2**30:.3f}} GiB kept, {{found.peak / 2**30:.3f}} GiB at the peak")
    if 0 < point.needed < 0.8 * machine().free:
        print("    measured, in float32:", measure(point))
'''


def downloads(sizes: Sizes, axis: str, count: str, machine: Machine, beside: str) -> None:
    """Made when they are asked for."""
    measured, shown = budget.dots(memory_here.dots(), sizes, axis), memory_legend.shown()
    with st.popover("Export", icon=":material/download:"):
        for kind in ("png", "svg"):
            st.download_button(
                f"Charts, {kind.upper()}",
                partial(_drawing, sizes, axis, count, machine, kind, measured, beside, shown),
                f"memory.{kind}", key=f"memory_{kind}", on_click="ignore", width="stretch",
            )  # fmt: skip
        st.download_button(
            "Curves, CSV", partial(as_csv, sizes, axis, count), "memory.csv", key="memory_csv", on_click="ignore",
            width="stretch",
        )  # fmt: skip
        st.download_button(
            "Curves, JSON", partial(as_json, sizes, axis, count, machine), "memory.json", key="memory_json",
            on_click="ignore", width="stretch",
        )  # fmt: skip
        st.code(snippet(sizes), language="python", height=240)


def _drawing(
    sizes: Sizes, axis: str, count: str, machine: Machine, kind: str, measured: list, beside: str, shown: list[str]
) -> bytes:  # matplotlib takes half a second to import: only who exports waits for it
    from explorer import memory_charts

    return memory_charts.drawing(sizes, axis, count, machine, kind, measured, beside, shown)
