"""The memory page: sliders, what happens in words, the curves, and every number opened to its formula."""

from dataclasses import asdict, replace
from functools import partial
from html import escape
from typing import Any

import streamlit as st

from explorer import budget, derivations, memory_charts, memory_exports, memory_here, memory_legend, state, theme, tour
from explorer.budget import AXES, CHOICES, COUNTS, NAMES, Sizes
from explorer.drawing import Line
from explorer.theme import PALETTE
from lambda_core.cost import Terms
from lambda_core.measuring import Machine, machine, said

SIZES, AXIS, COUNT, NOTE, BESIDE = "memory_sizes", "memory_axis", "memory_count", "memory_note", "memory_beside"
RIGHT = {"time": "Seconds", "work": "FLOPs"}  # what the second chart shows
LINK = {AXIS: ("along", AXES, "side"), COUNT: ("count", COUNTS, "kept"), BESIDE: ("right", RIGHT, "time")}
FIRST, LATER = ("side", "batch", "heads", "layers"), ("dim", "k", "u", "scope", "window", "entry")
STYLE = """<style>
.st-key-memory_sentence p { font-size: 1.25rem; line-height: 1.875rem; max-width: 1080px; min-height: 3.75rem }
.st-key-memory_sliders, .st-key-memory_choices { row-gap: 1rem }
.derivation summary > div { display: inline-grid; width: calc(100% - 24px); gap: 4px 16px; align-items: center }
.derivation .kind { grid-template-columns: minmax(170px, 2fr) 2fr minmax(130px, 1.2fr) 80px } .derivation .kind > b { text-align: right }
.derivation .part { padding: 6px 0 0 18px } .derivation .part + .terms { padding-top: 0 }
.derivation .bar { height: 8px; border-radius: 0; outline: 1px solid color-mix(in srgb, currentColor 22%, transparent); overflow: hidden }
.derivation .bar u { display: block; height: 100% } .derivation .bar.over { outline-color: currentColor; outline-width: 2px }
@media (max-width: 760px) { .derivation .kind { grid-template-columns: 1fr 80px } .derivation .bar { grid-row: 2; grid-column: 1 / -1 }
  .derivation .kind .soft { grid-row: 3; grid-column: 1 / -1 } }
</style>"""  # noqa: E501
UNKNOWN = "This system does not report its memory, so no line is drawn."


def arrive() -> None:
    """The sizes of the link, or at first those that the page starts with."""
    if SIZES in st.session_state and not state.opened_with(["sizes", *(name for name, _, _ in LINK.values())]):
        return
    st.session_state.pop(NOTE, None)
    sizes, notes = Sizes(), []
    try:
        sizes = budget.read(st.query_params.get("sizes", ""))
    except ValueError as error:
        notes.append(f"The link's sizes were left out: {error}.")
    st.session_state[SIZES] = sizes
    for key, (name, known, first) in LINK.items():
        wanted = st.query_params.get(name, first)
        if wanted not in known:
            notes.append(f"The link's “{name}” must be one of {', '.join(known)}, so it was left out.")
        st.session_state[key] = wanted if wanted in known else first
    if notes:
        st.session_state[NOTE] = " ".join(notes)


def sizes() -> Sizes:
    return st.session_state[SIZES]


def axis() -> str:
    return st.session_state[AXIS]


def write_url() -> None:
    """The sizes in the address bar, where they differ from those that the page starts with."""
    state.put("sizes", sizes().text())
    for key, (name, _, first) in LINK.items():
        state.put(name, "" if st.session_state[key] == first else st.session_state[key])


def _set(name: str) -> None:
    st.session_state[SIZES] = replace(sizes(), **{name: st.session_state[f"memory_{name}"]})
    st.session_state.pop(NOTE, None)


def _choose(state: str, widget: str) -> None:
    if (choice := st.session_state[widget]) is not None:
        st.session_state[state] = choice


@st.cache_data(ttl=5, show_spinner=False)
def _machine() -> dict[str, Any]:
    return asdict(machine())


@st.fragment
def show() -> None:
    """Everything that follows a slider; a move reruns this and nothing else."""
    here = Machine(**_machine())
    now, count = sizes(), st.session_state[COUNT]
    if note := st.session_state.get(NOTE):
        st.info(note)
    st.html(STYLE)
    with st.container(key="memory_sentence"):
        st.markdown(budget.sentence(now, count, here.total))
    _sliders(now)
    _choices()
    memory_legend.show(theme.scheme())
    _charts(now, count, here)
    st.caption(_caption(now, here))
    _readout(now, count, here)
    memory_exports.downloads(now, axis(), count, here, st.session_state[BESIDE])
    write_url()
    _notice(budget.size_of("global attention", now, count), here.total)


def _notice(size: int, room: int) -> None:
    """The task is done when attention fits at one choice of sizes, and not at another."""
    tour.allow("memory", room > 0)
    if not room:
        return
    seen: set[bool] = st.session_state.setdefault("memory_fitted", set())
    seen.add(size <= room)
    if len(seen) == 2:
        tour.tick("memory")


def _slider(name: str, now: Sizes, width: int | str) -> None:
    value = getattr(now, name)
    st.session_state[f"memory_{name}"] = value
    options = sorted({*CHOICES[name], value})
    st.select_slider(NAMES[name], options, key=f"memory_{name}", on_change=_set, args=(name,), width=width)  # type: ignore[arg-type]


def _sliders(now: Sizes) -> None:
    with st.container(horizontal=True, gap="large", key="memory_sliders"):
        for name in FIRST:
            _slider(name, now, 260)
    with st.expander("More sizes"), st.container(horizontal=True, gap="large"):
        for name in LATER:
            _slider(name, now, 260)


def _choices() -> None:
    choices = ((COUNT, "What is counted", COUNTS), (AXIS, "Along the axis", AXES), (BESIDE, "Beside it", RIGHT))
    with st.container(horizontal=True, gap="large", key="memory_choices"):
        for state, label, names in choices:
            st.session_state[f"{state}_choice"] = st.session_state[state]
            st.segmented_control(
                label, list(names), format_func=names.__getitem__, key=f"{state}_choice", required=True,
                on_change=_choose, args=(state, f"{state}_choice"),
            )  # fmt: skip


def _charts(now: Sizes, count: str, here: Machine) -> None:
    measured = budget.dots(memory_here.dots(), now, axis())
    options: dict[str, Any] = {"theme": None, "config": {"displayModeBar": False}}
    beside = st.session_state[BESIDE]
    shown = memory_legend.shown()
    titles = {"memory": COUNTS[count], beside: f"{RIGHT[beside]} of {_work(count)}"}
    with st.container(key="memory_charts"):
        for (what, title), column in zip(titles.items(), st.columns(2, gap="large"), strict=True):
            with column:
                st.markdown(f"**{title}**")
                chart = memory_charts.figure(what, now, axis(), count, here, theme.scheme(), measured, shown)
                st.plotly_chart(chart, key=f"memory_chart_{'memory' if what == 'memory' else 'work'}", **options)


def _work(count: str) -> str:
    return "the forward pass" if count == "forward" else "a training step"


def _caption(now: Sizes, here: Machine) -> str:
    words = [
        "Move the pointer over a curve for its formula; click a name to hide or show its curve.",
        "A lambda layer chooses the order of its sums by itself, its engine; the other names show single engines.",
    ]
    if st.session_state[BESIDE] == "time":
        words.append(
            "Seconds are estimates for one core, from operations and bytes and constants that were measured "
            "(`python -m lambda_core.step_time`); a dot is what a step took here, while this machine may have been "
            "busy with other things."
        )
    if not here.total:
        words.append(UNKNOWN)
    if now.entry != 4:
        words.append("Layers are measured in float32, so their dots are on the curves of 4 bytes a number.")
    return " ".join(words)


def _readout(now: Sizes, count: str, here: Machine) -> None:
    """A line a kind at the chosen sizes; each opens to its terms."""
    hue = theme.scheme()
    st.markdown(f"**At these sizes** · {COUNTS[count].lower()}")
    parts = []
    for kind in budget.SHOWN:
        size, found = budget.size_of(kind, now, count), budget.terms(kind, now, count)
        every, own = [term for terms in found.values() for term in terms], derivations.of_kind(now.point(kind).kind)
        parts.append(
            f"<details><summary><div class='kind'><span>{escape(budget.name(kind, now))}</span>"
            f"{_bar(size, here.total, memory_charts.STYLES[kind][0], hue)}"
            f"<span class='soft'>{_fits(kind, now, count, here.total)}</span><b>{said(size)}</b></div></summary>"
            + "".join(_part(part, terms, hue) for part, terms in found.items() if terms)
            + f"<p class='soft'>entries, of {now.entry} bytes each: {size:,} bytes</p>"
            + derivations.legend(every, hue, own) + "</details>"
        )  # fmt: skip
    st.html(f"{derivations.style(hue)}<div class='derivation'>{''.join(parts)}</div>")


def _bar(size: int, room: int, colour: str, hue: str) -> str:
    """The share of this machine that it takes; one that does not fit runs out of its frame."""
    if not room:
        return "<span></span>"
    over = " over" if size > room else ""
    return f"<i class='bar{over}'><u style='width:{min(1, size / room):.1%};background:{PALETTE[hue][colour]}'></u></i>"


PARTS = {"maps": "Maps and embeddings", "rest": "Kept besides", "work": "Worked with, at most"}


def _part(part: str, terms: Terms, hue: str) -> str:
    rows = derivations.table([Line(term.name, 1, term) for term in terms], hue)
    return f"<div class='part soft'>{PARTS[part]}</div>{rows}"


def _fits(kind: str, now: Sizes, count: str, room: int) -> str:
    if not room:
        return ""
    side = budget.largest_side(kind, now, count, room)
    if side == budget.MOST_SIDE:
        return "fits on every map"
    return f"fits up to side {side:,}" if side else "fits at no side"


def measured() -> None:
    """The button, and what came of it."""
    memory_here.show(lambda: (sizes(), axis()))
    found = memory_here.dots()
    if found:
        st.dataframe(memory_here.compared(found), hide_index=True, width="content")
        st.caption(
            "Maps: attention maps, gathered embeddings, copied windows and λ, which are everything that has a number "
            "for each pair of positions or for each entry of a query’s λ. All kept: whatever autograd saves, without "
            "weights and the input. The formulas count neither what batch norms keep nor the index by which E is "
            "gathered."
        )
        st.button("Forget these", on_click=partial(st.session_state.pop, memory_here.DOTS, None), key="memory_forget")
