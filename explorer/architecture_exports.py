"""Download buttons of the architectures page: the network as a figure, its numbers block by block, and the Python."""

import csv
import io
from collections.abc import Callable
from functools import partial

import streamlit as st

from explorer import drawing
from explorer.architecture import Architecture
from explorer.blocks import METRICS, Costs, costs, measure
from explorer.theme import PALETTE

HUES = {
    "plain": "minus",
    "gate": "input-text",
    "lambda": "lambda",
    "linear": "key-text",
    "local": "key",
    "all": "key-deep",
}
ENDS = {"stem": "stem", "classifier": "head"}
UNITS = {
    "flops": (1e9, "FLOPs, billions"),
    "params": (1e6, "parameters, millions"),
    "memory": (2**20, "activations, MiB"),
}


def as_csv(architecture: Architecture, found: Costs) -> str:
    """A row a block, and their sum."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["network", "part", "layer", *METRICS])
    for part, letter, numbers in parts(found):
        writer.writerow([architecture.title, part, letter, *numbers.values()])
    writer.writerow([architecture.title, "sum", "", *measure(found.whole).values()])
    return buffer.getvalue()


def parts(found: Costs) -> list[tuple[str, str, dict[str, int]]]:
    """(where, letter, numbers) of the stem, each block, what lies between them, and the classifier."""
    rows = [("stem", "", measure(found.stem))]
    for stage in found.stages:
        pairs = enumerate(zip(stage.letters, stage.blocks, strict=True), start=1)
        rows += [(f"{stage.name}, block {number}", letter, measure(block)) for number, (letter, block) in pairs]
        if stage.rest.rows:
            rows.append((f"{stage.name}, around the blocks", "", measure(stage.rest)))
    return [*rows, ("classifier", "", measure(found.head))]


def figure(architecture: Architecture, found: Costs, batch: int, kind: str) -> bytes:
    """A bar a block, in the hue of its layer: FLOPs, parameters and activations, as "png" or "svg"."""
    from matplotlib.figure import Figure  # it takes half a second to import: only who exports waits for it

    from explorer.plots import save

    ink, rows = PALETTE["light"], parts(found)
    hues = [ink[HUES[drawing.FAMILIES.get(letter, "local")]] if letter else ink["line-strong"] for _, letter, _ in rows]
    drawn = Figure(figsize=(max(6.0, 0.34 * len(rows)), 6.4), layout="constrained", facecolor="white")
    drawn.suptitle(f"{architecture.title}, {architecture.size} px, batch {batch}", color=ink["ink"])
    for axes, (metric, (unit, title)) in zip(drawn.subplots(3, 1, sharex=True), UNITS.items(), strict=True):
        axes.bar(range(len(rows)), [numbers[metric] / unit for _, _, numbers in rows], color=hues)
        total = measure(found.whole)[metric] / unit
        axes.set_title(f"{title}: {total:,.2f} in all", loc="left", fontsize=10, color=ink["ink-soft"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=ink["ink-soft"], labelsize=8)
    axes.set_xticks(range(len(rows)), [letter or ENDS.get(part, "") for part, letter, _ in rows])
    return save(drawn, kind)


def snippet(architecture: Architecture, batch: int) -> str:
    """A program that builds it, counts it by formula, and lets PyTorch count it."""
    return f'''"""A network, its parameters and FLOPs by formula and by PyTorch. Needs lambda_core."""

import torch
from torch.utils.flop_counter import FlopCounterMode
from lambda_core import build, cost

model = {architecture.line()}.eval()
found = cost.profile(model, {architecture.size}, batch={batch})
print("by formula:", found.params, "parameters,", found.flops, "FLOPs")

with FlopCounterMode(display=False) as counter, torch.no_grad():
    model(torch.randn(1, 3, {architecture.size}, {architecture.size}))
print("PyTorch:", sum(p.numel() for p in model.parameters()), "parameters,", counter.get_total_flops(), "FLOPs")
'''


def downloads(now: Architecture, batch: int) -> None:
    """Figure as PNG or SVG, numbers as CSV, and Python; made when they are asked for."""
    name, found, program = now.text().replace("~", "_"), costs(now, batch), snippet(now, batch)
    files: dict[str, tuple[Callable[[], bytes | str] | str, str]] = {}
    files |= {f"Figure, {kind.upper()}": (partial(figure, now, found, batch, kind), kind) for kind in ("png", "svg")}
    files |= {"Numbers, CSV": (partial(as_csv, now, found), "csv"), "Python": (program, "py")}
    with st.popover("Export", icon=":material/download:"):
        for label, (content, ending) in files.items():
            st.download_button(
                label, content, f"{name}.{ending}", key=f"bench_{ending}", on_click="ignore", width="stretch"
            )
        st.code(program, language="python", height=240)
