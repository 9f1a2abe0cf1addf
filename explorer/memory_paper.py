"""The paper's table of complexities on the memory page: printed beside recomputed, each cell opened to its terms."""

from html import escape
from typing import Any

import streamlit as st

from explorer import derivations, theme
from explorer.paper_tables import of_ours
from lambda_core.cost import Term
from lambda_core.tables import METRICS, RECIPES, Figure, Maps, compare, published
from lambda_core.tables.recipes import STAGES

TABLE = "complexity"
VERDICTS = {"match": "as printed", "unprinted": "not printed", "erratum": "cannot be right as printed"}
MORE = """<style>
.derivation .row { display: grid; grid-template-columns: minmax(180px, 2.2fr) 1fr 1fr 1fr 1fr 1fr; gap: 4px 16px }
.derivation summary .row { display: inline-grid; width: calc(100% - 24px) } .derivation .row span { text-align: right } .derivation .row span:first-child { text-align: left }
.derivation .head { font-size: 13px; padding: 0 4px 6px 20px }
@media (max-width: 760px) { .derivation .row { grid-template-columns: 1fr 1fr 1fr } .derivation .row span:first-child {
  grid-column: 1 / -1; font-weight: 600 } .derivation .head span:first-child { display: none } }
</style>"""  # noqa: E501


def show() -> None:
    st.markdown(
        "What a ResNet-50 would store of maps or embeddings at 224 px, batch 128, in all its layers. Open a row for "
        "the sums, stage by stage."
    )
    scheme = theme.scheme()
    rows: dict[str, dict[str, Figure]] = {}
    for figure in compare(TABLE):
        rows.setdefault(figure.row, {})[figure.metric] = figure
    times = {row["row"]: row["time"] for row in published()["tables"][TABLE]["rows"]}
    ours = any(cells["top1"].measured is not None for cells in rows.values() if "top1" in cells)
    head = (
        "layer", "numbers stored", "GiB, printed", "GiB, here", "examples/s, paper",
        "top-1 %, paper and ours" if ours else "top-1 %, paper",
    )  # fmt: skip
    html = "".join(_row(name, times[name], cells, scheme) for name, cells in rows.items())
    titles = "".join(f"<span>{title}</span>" for title in head)
    table = f"<div class='derivation'><div class='row head soft'>{titles}</div>{html}</div>"
    st.html(derivations.style(scheme) + MORE + table)
    st.caption(
        "`python -m lambda_core.tables --table complexity` prints these figures. Conventions that make them come out: "
        "3, 4, 6 and 3 layers on maps of side 56, 28, 14 and 7; maps of 8 heads in float32; axial attention has two "
        "maps a layer; embeddings in 2 bytes an entry. The printed 120 is rounded from 122.8. Speeds and accuracies "
        "are the paper's, on ImageNet and its authors' hardware, where global attention did not fit." + of_ours(TABLE)
    )


def _row(name: str, time: str, cells: dict[str, Figure], scheme: str) -> str:
    memory = cells["memory_gib"]
    shown = [
        escape(name), f"<code>{derivations.formula(time, scheme)}</code>", _printed(memory.published),
        "none" if memory.recomputed is None else f"<b style='float:none'>{memory.recomputed:.3f}</b>",
        _printed(cells["throughput"].published), _accuracy(cells["top1"]),
    ]  # fmt: skip
    line = f"<div class='row'>{''.join(f'<span>{text}</span>' for text in shown)}</div>"
    recipe = RECIPES[TABLE].get(name)
    said = ""
    if isinstance(recipe, Maps):
        verdict = VERDICTS.get(memory.verdict, memory.verdict)
        said = (
            f"<p class='soft'>{escape(METRICS['memory_gib'].label)}: {verdict}. {escape(memory.note)} Numbers stored: "
            f"{_stored(time, recipe)}.</p>"
        )
    return f"<details><summary>{line}</summary>{said}{opened(time, recipe, scheme)}</details>"


def opened(time: str, recipe: Any, scheme: str) -> str:
    """What a row opens to: its sums, and what the letters are."""
    if isinstance(recipe, Maps):
        return _stages(recipe, scheme)
    return (
        "<p class='soft'>A convolution of the values with the embeddings: no number is stored for a pair, so there is "
        f"nothing to count.</p>{derivations.legend([Term('', time)], scheme)}"
    )


def _accuracy(top1: Figure) -> str:
    ours = "" if top1.measured is None else f", <b style='float:none'>{top1.measured:.1f}</b>"
    return _printed(top1.published) + ours


def _printed(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def _stored(time: str, recipe: Maps) -> str:
    """The complexity as a number: with its letters' values, summed over the stages. Constant factors are left out."""
    sums = []
    for layers, side in STAGES:
        letters = {
            "b": 128, "l": layers, "h": recipe.options.get("heads", 4), "n": side**2, "k": recipe.options.get("k", 16),
            "m": min(7, side) ** 2,
        }  # fmt: skip
        value = 1
        for factor in time.split("·"):
            base, power = factor.removesuffix("²").removeprefix("√"), 2 if factor.endswith("²") else 1
            value *= side if factor.startswith("√") else letters[base] ** power
        sums.append(value)
    return f"{escape(time)} = {' + '.join(f'{value:,}' for value in sums)} = {sum(sums):.3g}"


def _stages(recipe: Maps, scheme: str) -> str:
    html = derivations.of_maps(recipe, scheme)
    return html[html.index("<div class='derivation'>") :]
