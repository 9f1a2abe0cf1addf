"""Memory and operations over a size, both axes logarithmic: for plotly on the page, for matplotlib in files."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from explorer import budget, charts, derivations
from explorer.budget import KINDS, NAMES, SHOWN, Sizes, along, flop_terms, flops, said_time, size_of, terms
from explorer.theme import PALETTE
from lambda_core.cost import Term
from lambda_core.measuring import Machine, said

# Attention in greys, told apart by dashes; E's own hue where E is stored; lambda layers stand out.
STYLES: dict[str, tuple[str, float, str]] = {
    "global attention": ("ink", 2, "solid"),
    "axial attention": ("ink-soft", 2, "dash"),
    "local attention": ("ink-soft", 2, "dot"),
    "linear attention": ("ink-faint", 2, "dashdot"),
    "flash attention": ("ink-faint", 2, "longdash"),
    "lambda, einsum": ("position", 2.5, "solid"),
    budget.AUTO: ("lambda", 4, "solid"),
    "lambda, convolution": ("lambda", 1.5, "dash"),
    "lambda, gemm": ("lambda", 1.5, "dot"),
    "lambda, toeplitz": ("lambda", 1.0, "solid"),
    "lambda, fft": ("lambda", 1.5, "dashdot"),
    "lambda, attention": ("lambda", 1.5, "longdash"),
}
DASHES: dict[str, Any] = {
    "solid": "-", "dash": (0, (5, 2)), "dot": (0, (1, 1.5)), "dashdot": (0, (5, 2, 1, 2)), "longdash": (0, (9, 3)),
}  # fmt: skip
STROKES = {  # of plotly: on and off, in widths of the line but at least 3 px
    "solid": (), "dash": (3, 3), "dot": (1, 1), "dashdot": (3, 1, 1, 1), "longdash": (5, 5),
}  # fmt: skip
COUNTED = {"memory": "bytes", "time": "seconds", "work": "FLOPs"}
BINARY = {2**power: said(2**power) for power in range(0, 61, 5)}
TIMES = {10.0**i: said_time(10.0**i) if i < 3 else f"10{'⁰¹²³⁴⁵⁶⁷⁸⁹'[i]} s" for i in range(-6, 10)}


class Curve(NamedTuple):
    """Of one kind: x, y, and what a pointer on it is told."""

    kind: str
    x: list[int]
    y: list[float]
    told: list[str]


def curves(what: str, sizes: Sizes, axis: str, count: str) -> list[Curve]:
    """what: "memory" in bytes, "time" in seconds, "work" in FLOPs. Kinds that have none of it are left out."""
    found, places = [], along(sizes, axis)
    read = {"memory": size_of, "time": budget.seconds, "work": flops}[what]
    for kind in KINDS:
        y = [read(kind, one, count) for one in places]
        if any(y):
            told = [_told(what, kind, one, count, value) for one, value in zip(places, y, strict=True)]
            found.append(Curve(kind, [getattr(one, axis) for one in places], y, told))
    return found


def _told(what: str, kind: str, sizes: Sizes, count: str, value: float) -> str:
    """The largest term with its numbers, and the sum."""
    name = budget.name(kind, sizes)
    if what == "time":
        work, kept = f"{flops(kind, sizes, count):.3g} FLOPs", said(size_of(kind, sizes, "kept"))
        return f"<b>{name}: about {said_time(value)} on one core</b><br>{work}, {kept} kept for training"
    if what == "memory":
        own = [term for part in terms(kind, sizes, count).values() for term in part]
        sum_of, factor = f"{said(value)}", f" × {sizes.entry} bytes"
    else:
        own, sum_of = list(flop_terms(kind, sizes)), f"{value:.3g} FLOPs"
        factor = "" if count == "forward" else ", × 3 with the backward pass"
    if not own:
        return f"<b>{name}: nothing</b>"
    most = max(own, key=lambda term: term.value)
    explained = "".join(f"<br>{letter} {says}" for letter, says in _unnamed(kind, sizes, most).items())
    return (
        f"<b>{name}: {sum_of}</b><br>most of it: {most.name}<br>{most.formula} = {most.substituted}{factor}{explained}"
    )


def _unnamed(kind: str, sizes: Sizes, term: Term) -> dict[str, str]:
    """What letters of a formula are that no slider is named after."""
    point = sizes.point(kind)
    sliders = "sbhldur" + ("k" if point.kind.startswith("lambda") else "")  # the depth of keys in attention is d / h
    found = derivations.meanings([term], derivations.of_kind(point.kind))
    return {letter: says for letter, says in found.items() if letter not in sliders}


def lines(machine: Machine) -> dict[str, int]:
    """What a memory curve can cross: this machine's memory, and that of its GPU if it has one."""
    found = {f"this machine, {said(machine.total)}": machine.total}
    if machine.gpu:
        found[f"{machine.gpu_name}, {said(machine.gpu)}"] = machine.gpu
    return {name: size for name, size in found.items() if size}


def height(dot: Mapping[str, Any], what: str, count: str) -> float | None:
    """Where a measured point lies on a chart; None where that chart counts what was not measured: a step was."""
    return dot.get(count) if what == "memory" else dot["seconds"] if what == "time" and count != "forward" else None


def _range(found: Sequence[Curve], more: Sequence[float], step: float) -> list[float]:
    """Of the vertical axis, in powers of ten: whole steps, so that it seldom moves while a slider does."""
    values = [y for curve in found for y in curve.y if y] + list(more)
    low, high = math.log(min(values), step), math.log(max(values), step)
    return [math.floor(low) * math.log10(step), math.ceil(high) * math.log10(step)]


def figure(
    what: str, sizes: Sizes, axis: str, count: str, machine: Machine, scheme: str,
    measured: Sequence[Mapping[str, Any]] = (), shown: Collection[str] = SHOWN,
) -> Any:  # fmt: skip
    """One chart for plotly. measured: points on its curves, see `budget.dots`. shown: kinds whose curves are seen."""
    ink, found = PALETTE[scheme], curves(what, sizes, axis, count)
    chart = charts.chart(
        scheme, 400, margin={"l": 8, "r": 12, "t": 12, "b": 66}, showlegend=False, uirevision=what, hovermode="closest",
        hoverlabel={"bgcolor": ink["page"], "bordercolor": ink["line-strong"], "align": "left",
                    "font": {"color": ink["ink"], "family": charts.FONT}},
    )  # fmt: skip
    for curve in found:
        hue, width, dash = STYLES[curve.kind]
        chart.add_scatter(
            x=curve.x, y=[y or None for y in curve.y], mode="lines", name=KINDS[curve.kind], text=curve.told,
            visible=curve.kind in shown, hovertemplate="%{text}<extra></extra>",
            line={"color": ink[hue], "width": width, "dash": dash},
        )  # fmt: skip
    limits = lines(machine) if what == "memory" else {}
    measured = [dot for dot in measured if dot["asked"] in shown]
    heights = [y for dot in measured if (y := height(dot, what, count))]
    for dot in measured:
        if y := height(dot, what, count):
            _dot(chart, dot, getattr(dot["sizes"], axis), y, said(y) if what == "memory" else said_time(y), scheme)
    for name, limit in limits.items():
        chart.add_hline(limit, line={"color": ink["pixel"], "width": 1.5, "dash": "4px 3px"})
        chart.add_annotation(
            text=name, xref="paper", x=0.01, xanchor="left", y=math.log10(limit), yanchor="bottom", showarrow=False,
            font={"color": ink["pixel"], "size": 13},
        )  # fmt: skip
    chosen = getattr(sizes, axis)
    chart.add_vline(chosen, line={"color": ink["line-strong"], "width": 1.5})
    step = {"memory": 32, "time": 10, "work": 100}[what]
    seen = [curve for curve in found if curve.kind in SHOWN or curve.kind in shown]
    vertical: dict[str, Any] = {"range": _range(seen, [*limits.values(), *heights], step)}
    if ticked := {"memory": BINARY, "time": TIMES}.get(what):
        vertical |= {"tickvals": list(ticked), "ticktext": list(ticked.values())}
    else:
        vertical |= {"dtick": 2, "exponentformat": "power"}
    x = [value for curve in found[:1] for value in curve.x]
    ticks = [value for value in x if value & (value - 1) == 0 or value == chosen]
    ticks = [value for value in ticks if value == chosen or abs(math.log2(value / chosen)) > 0.4]
    chart.update_xaxes(
        type="log", title={"text": NAMES[axis], "font": {"size": 14}}, range=[math.log10(x[0]), math.log10(x[-1])],
        tickvals=ticks, tickformat="d", title_standoff=8, ticklabelstandoff=10,
    )  # fmt: skip
    chart.update_yaxes(type="log", automargin=True, ticklabelstandoff=8, **vertical)
    return chart


def _dot(chart: Any, dot: Mapping[str, Any], x: int, y: float, read: str, scheme: str) -> None:
    ink = PALETTE[scheme]
    hue, _, _ = STYLES[dot["asked"]]
    chart.add_scatter(
        x=[x], y=[y], mode="markers",
        marker={"color": ink["page"], "size": 12, "line": {"color": ink[hue], "width": 3}},
        hovertemplate=f"<b>{budget.name(dot['asked'], dot['sizes'])}, measured: {read}</b><br>"
        f"{said(dot['kept'])} kept, {said_time(dot['seconds'])} a step<extra></extra>",
    )  # fmt: skip


def drawing(
    sizes: Sizes, axis: str, count: str, machine: Machine, kind: str, measured: Sequence[Mapping[str, Any]] = (),
    beside: str = "time", shown: Collection[str] = SHOWN,
) -> bytes:  # fmt: skip
    """Both charts as a file, "png" or "svg", in the light palette. beside: "time" or "work". shown: as in `figure`."""
    from matplotlib.figure import Figure

    from explorer.plots import save

    ink = PALETTE["light"]
    sheet = Figure(figsize=(13, 5.2), layout="constrained", facecolor="white")
    for axes, what in zip(sheet.subplots(1, 2), ("memory", beside), strict=True):
        found = curves(what, sizes, axis, count)
        seen = [curve for curve in found if curve.kind in shown]
        for curve in seen:
            hue, width, dash = STYLES[curve.kind]
            axes.plot(curve.x, curve.y, color=ink[hue], linewidth=width * 0.8, linestyle=DASHES[dash],
                      label=KINDS[curve.kind])  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2 if what == "memory" else 10)
        if what == "memory":
            low, high = axes.get_ylim()
            ticks = {value: text for value, text in BINARY.items() if low <= value <= high}
            axes.set_yticks(list(ticks), list(ticks.values()))
            for name, limit in lines(machine).items():
                axes.axhline(limit, color=ink["pixel"], linewidth=1, linestyle="--")
                axes.annotate(name, (found[0].x[0], limit), color=ink["pixel"], va="bottom", fontsize=9)
        for dot in measured:
            if dot["asked"] in shown and (y := height(dot, what, count)):
                axes.plot(getattr(dot["sizes"], axis), y, "o", mfc="white", mew=2, mec=ink[STYLES[dot["asked"]][0]])
        axes.set_xlabel(NAMES[axis])
        axes.set_ylabel(COUNTED[what])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.grid(color=ink["line"], linewidth=0.6)
        if seen:
            axes.legend(fontsize=8, frameon=False)
    return save(sheet, kind)
