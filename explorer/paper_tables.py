"""The paper's tables on the architectures page: published beside recomputed, derivations, and every row a preset."""

from functools import lru_cache, partial
from typing import Any

import streamlit as st

from explorer import ablated, derivations, later, presets, state, theme, workbench
from explorer.architecture import of_recipe
from explorer.blocks import costs
from explorer.components.paper_table import paper_table
from lambda_core.tables import METRICS, RECIPES, Figure, Maps, published
from lambda_core.tables.figures import judge, measured
from lambda_core.training.ablations import ABLATIONS

TABLE, OPEN, KEY = "paper_table_choice", "paper_open", "paper_table"
NAMES = {
    "placement": "Placement", "layers": "Layers", "content_vs_position": "Halves", "scope": "Scope", "khu": "k, h, u",
    "normalization": "Normalization", "large": "ResNet-101, -152", "complexity": "Memory", "detection": "Boxes",
    "segmentation": "Masks",
}  # fmt: skip
FIRST = next(iter(NAMES))
LINK_TABLE, LINK_OPEN = "table", "derive"  # query parameters, as the options of `python -m lambda_core.tables`
UNITS = {"params_m": "M", "flops_b": "B", "memory_gib": "GiB"}
OURS = {"top1": ("measured", "ours, %", ".1f"), "throughput": ("measured_speed", "ours, /s", ",.0f")}  # beside theirs
VERDICTS = {
    "match": "It comes out as printed.",
    "erratum": "It does not come out as printed, and it cannot: the printed figure contradicts others of the paper.",
    "open": "It comes close, and the paper does not settle the rest.",
    "differs": "It does not come out.",
}


@lru_cache(maxsize=16)
def figures(table: str) -> list[Figure]:
    """As `lambda_core.tables.compare`, from costs that are counted block by block."""
    found = []
    for printed in published()["tables"][table]["rows"]:
        row, recipe = printed["row"], RECIPES.get(table, {}).get(printed["row"])
        here: dict[str, float] = {}
        if isinstance(recipe, Maps):
            here = recipe.figures()
        elif recipe is not None:
            whole = costs(of_recipe(recipe)).whole
            here = {"params_m": whole.params / 1e6, "flops_b": whole.flops / 1e9}
        for metric in (metric for metric in METRICS if metric in printed):
            value = here.get(metric)
            verdict, note = judge(table, row, metric, printed[metric], value)
            found.append(Figure(table, row, metric, printed[metric], value, verdict, note))
    return found


def _number(value: float | None, metric: str, *, exact: bool) -> str:
    if value is None:
        return "–"
    return f"{value:.{METRICS[metric].decimals}f}" if exact else f"{value:,g}" if metric == "throughput" else f"{value}"


def columns(table: str) -> list[str]:
    return [metric for metric in METRICS if any(metric in row for row in published()["tables"][table]["rows"])]


def as_data(table: str, found: list[Figure]) -> dict[str, Any]:
    """A table as its component takes it."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for figure in found:
        formula = METRICS[figure.metric].tolerance is not None and figure.recomputed is not None
        rows.setdefault(figure.row, []).append(
            {
                "metric": figure.metric, "published": _number(figure.published, figure.metric, exact=False),
                "here": _number(figure.recomputed, figure.metric, exact=True) if formula else "",
                "verdict": figure.verdict,
            }
        )  # fmt: skip
    known, shown = measured(), []
    for name in columns(table):
        shown.append([name, METRICS[name].label, METRICS[name].tolerance is not None])
        ours = {row: known[table, row, name][0] for row in rows if (table, row, name) in known and name in OURS}
        if ours:
            key, label, written = OURS[name]
            shown.append([key, label, False])
            for row, value in ours.items():
                rows[row].append({"metric": key, "published": f"{value:{written}}", "here": "", "verdict": "data"})
    return {
        "title": published()["tables"][table]["title"],
        "columns": shown,
        "rows": [
            {"row": row, "cells": cells, "preset": presets.of(table, row) is not None} for row, cells in rows.items()
        ],
        "open": st.session_state.get(OPEN, {}).get(table),
    }  # fmt: skip


def arrive() -> None:
    """The table and the derivation of the link, or at first the first table, and why they could not be shown."""
    if TABLE in st.session_state and not state.opened_with([LINK_TABLE, LINK_OPEN, *workbench.LINK.values()]):
        return
    st.session_state.pop(OPEN, None)
    table, opened, refused = st.query_params.get(LINK_TABLE, FIRST), st.query_params.get(LINK_OPEN), ""
    row, _, metric = (opened or "").rpartition("~")
    if table not in NAMES:
        table, refused = FIRST, f"The link names no table of the paper. Here is {NAMES[FIRST]} instead."
    elif opened and not _derivable(table, row, metric):
        refused = f"The link opens a number that the table {NAMES[table]} does not derive, so none is open."
    elif opened:
        st.session_state[OPEN] = {table: [row, metric]}
    st.session_state[TABLE] = table
    if refused:
        before = st.session_state.get(workbench.WRONG_LINK)
        st.session_state[workbench.WRONG_LINK] = "\n\n".join(filter(None, [before, refused]))


def _derivable(table: str, row: str, metric: str) -> bool:
    """Whether a table has this number and a formula gives it: told without computing the table."""
    printed = any(known["row"] == row and metric in known for known in published()["tables"][table]["rows"])
    return printed and row in RECIPES.get(table, {}) and metric in UNITS


def _write_url(table: str) -> None:
    """The table and its open derivation in the address bar, where they are not those that the page starts with."""
    state.put(LINK_TABLE, "" if table == FIRST else table)
    state.put(LINK_OPEN, "~".join(st.session_state.get(OPEN, {}).get(table) or ()))


def _opened() -> None:
    """A number was clicked: open its derivation, or close it."""
    said, table = (st.session_state[KEY] or {}).get("open") or {}, st.session_state[TABLE]
    pair = [said.get("row"), said.get("metric")]
    known = any([figure.row, figure.metric] == pair for figure in figures(table))
    now = st.session_state.get(OPEN, {})
    st.session_state[OPEN] = {} if not known or now.get(table) == pair else {table: pair}


def _loaded() -> None:
    row = ((st.session_state[KEY] or {}).get("load") or {}).get("row", "")
    if (found := presets.of(st.session_state[TABLE], str(row))) is not None:
        workbench.load(found)
        st.toast(f"{found.title} is on the bench now.", icon=":material/vertical_align_top:")


def show() -> None:
    """A table, and the derivation of the number that was clicked."""
    st.segmented_control(
        "Table", list(NAMES), format_func=NAMES.__getitem__, key=TABLE, label_visibility="collapsed", required=True,
        persist_state="session",
    )  # fmt: skip
    table: str = st.session_state[TABLE]
    _write_url(table)
    later.show(f"paper {table}", partial(figures, table), partial(_draw, table), "Recomputing, block by block …")


def _draw(table: str, found: list[Figure]) -> None:
    paper_table(as_data(table, found), key=KEY, on_open_change=_opened, on_load_change=_loaded)
    row, metric = st.session_state.get(OPEN, {}).get(table) or (None, None)
    for figure in found:
        if (figure.row, figure.metric) == (row, metric) and figure.recomputed is not None:
            _derive(figure)
    st.caption(
        "`python -m lambda_core.tables` prints the same figures from whole networks. FLOPs: 2 a multiply-add over "
        "convolutions, linear layers, projections and einsums, for one image. Accuracies and speeds are the paper's, "
        "on ImageNet and its authors' hardware." + presets.ASIDE.get(table, "") + of_ours(table)
    )


def _conditions(table: str, metric: str) -> str:
    """Under which our own figures of a metric were measured; empty where there are none."""
    return "; ".join(sorted({data for (of, _, name), (_, data) in measured().items() if (of, name) == (table, metric)}))


def of_ours(table: str) -> str:
    """What our own figures in a table are, or that there are none yet where networks for it are foreseen."""
    said = ""
    if speed := _conditions(table, "throughput"):
        said = f" Our examples a second: training steps, {speed}: compare ratios."
    if top1 := _conditions(table, "top1"):
        return f"{said} Our accuracies: {top1}: compare differences within a column, not its level."
    foreseen = [name for name, ablation in ABLATIONS.items() if table in dict(ablation.rows)]
    return said + (f" {ablated.missing(foreseen)}" if foreseen else "")


def _derive(figure: Figure) -> None:
    """One number: what it is, whether it comes out, the errata's argument, and every term."""
    recipe, scheme = RECIPES[figure.table][figure.row], theme.scheme()
    label, unit = METRICS[figure.metric].label.partition(",")[0], UNITS[figure.metric]
    printed = "not printed" if figure.published is None else f"printed as {figure.published} {unit}"
    with st.container(border=True, key="derivation"):
        st.markdown(
            f"**{figure.row}: {label} {printed}, here {_number(figure.recomputed, figure.metric, exact=True)} {unit}**"
        )
        verdict = VERDICTS.get(figure.verdict, "")
        if figure.verdict == "match" and figure.metric == "memory_gib" and figure.ratio:
            verdict = f"It comes out to {figure.ratio - 1:+.1%}: the printed figure is a round one."
        if said := " ".join(filter(None, [verdict, figure.note])):
            st.markdown(said)
        st.code(str(recipe), language=None, wrap_lines=True)
        if isinstance(recipe, Maps):
            st.html(derivations.of_maps(recipe, scheme))
        else:
            metric = "params" if figure.metric == "params_m" else "flops"
            st.html(derivations.of_network(costs(of_recipe(recipe)), metric, scheme))
