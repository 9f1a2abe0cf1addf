"""Measured on this machine: a child process runs real layers under a ceiling, and their dots join the curves."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import streamlit as st

from explorer import budget, child, memory_legend
from explorer.budget import AUTO, AXES, CHOICES, KINDS, Sizes
from explorer.child import Child
from lambda_core.cost import total
from lambda_core.measuring import GIB, Machine, machine, refusal, said

SECONDS = 120
CEILINGS = (0.25, 0.5, 1, 2, 4, 8, 16)
SHARE = 0.8  # of what is free: the rest of the machine wants to live too
GUESS = 4 * GIB  # free, where the system says nothing
POINTS = 3  # along the axis: the chosen one, a half and a quarter of it
RUN, DOTS, SAID, KIND_CHOICE, CEILING = "memory_run", "memory_dots", "memory_said", "memory_kinds", "memory_ceiling"
WANTED = f"{CEILING}_wanted"  # the ceiling that was chosen, while the list of them follows what is free
FIRST = ["global attention", AUTO]

Chosen = Callable[[], tuple[Sizes, str]]  # the sizes of the sliders, and the axis


@dataclass
class Run:
    """A measurement. asked: the kind and sizes of each point. taken: lines that have become dots."""

    asked: list[tuple[str, Sizes]]
    child: Child
    taken: int = 0


def start(asked: list[tuple[str, Sizes]], gib: float, seconds: float = SECONDS, axis: str = "side") -> Run:
    """Measure points in a process of its own. Raises RuntimeError while another measurement is under way."""
    order = {
        "points": [asdict(sizes.point(kind)) for kind, sizes in asked], "gib": gib, "seconds": seconds,
        "names": [called(kind, sizes, axis) for kind, sizes in asked],
    }  # fmt: skip
    return Run(asked, child.start("lambda_core.measuring", order))


def called(kind: str, sizes: Sizes, axis: str) -> str:
    """A point by the page's name of its layers and its place on the axis."""
    return f"{budget.name(kind, sizes)}, {AXES[axis]} {getattr(sizes, axis)}"


def values(sizes: Sizes, axis: str) -> list[int]:
    """Where a curve is measured: at the chosen value, and at a half and a quarter of it."""
    chosen, least = getattr(sizes, axis), CHOICES[axis][0]
    found = {max(least, chosen // 2**i) for i in range(POINTS)}
    return sorted({value + 1 - value % 2 for value in found} if axis == "scope" else found)


def points(kinds: list[str], sizes: Sizes, axis: str) -> list[tuple[str, Sizes]]:
    """Small ones first, so that something is there soon."""
    places = [replace(sizes, **{axis: value}) for value in values(sizes, axis)]
    asked = [(kind, place) for place in places for kind in kinds if place.dim % place.heads == 0]
    return sorted(asked, key=lambda pair: budget.size_of(*pair, "peak"))


def begin(chosen: Chosen) -> None:
    """Start what fits, and say of the rest why it does not."""
    fit, refused, gib = [], [], st.session_state[CEILING]
    if gib not in CEILINGS:  # a browser may send what it likes
        return
    st.session_state[WANTED] = gib
    sizes, axis = chosen()
    sizes = replace(sizes, entry=4)  # that is what is measured, whatever the curves show
    for kind, place in points(st.session_state[KIND_CHOICE], sizes, axis):
        why = refusal(place.point(kind), int(gib * GIB), called(kind, place, axis))
        if why is None:
            fit.append((kind, place))
        else:
            refused.append(why)
    st.session_state[SAID] = refused
    st.session_state.pop(RUN, None)
    if fit:
        try:
            st.session_state[RUN] = start(fit, gib, axis=axis)
            memory_legend.reveal(kind for kind, _ in fit)
        except RuntimeError as error:
            st.session_state[SAID] = [str(error)]


def dots() -> list[dict[str, Any]]:
    """What this session measured, newest last: asked, sizes, kept, pairs, peak, resident, seconds."""
    return st.session_state.setdefault(DOTS, [])


def _take(run: Run) -> bool:
    """Make dots of the lines that are new; whether there were any."""
    fresh = run.child.lines[run.taken :]
    run.taken += len(fresh)
    for line in fresh:
        if "refused" in line:
            st.session_state.setdefault(SAID, []).append(line["refused"])
        elif "point" in line:
            kind, sizes = run.asked[line["point"]]
            others = [dot for dot in dots() if (dot["asked"], dot["sizes"]) != (kind, sizes)]
            found = sizes.point(kind)
            maps = {"maps": line["pairs"]} if found.pairs == found.expected().maps else {}
            st.session_state[DOTS] = [*others, {"asked": kind, "sizes": sizes, **line, **maps}]
    return bool(fresh)


def _cancel() -> None:
    run = st.session_state.pop(RUN, None)
    if run is not None:
        run.child.stop()
        _take(run)
        st.session_state[SAID] = [f"Cancelled after {run.taken} of {len(run.asked)} points."]


def show(chosen: Chosen) -> None:
    """The button, and the points as they come. Sliders may move without this part: it asks when it is pressed."""
    busy = RUN in st.session_state
    st.fragment(_show, run_every=0.5 if busy else None)(chosen, busy)


def _show(chosen: Chosen, was_busy: bool) -> None:
    run: Run | None = st.session_state.get(RUN)
    news = False
    if run is not None:
        ended = not run.child.busy  # asked before the lines are taken: none can come after
        news = _take(run)
        if ended:
            _end(run)
    if news or was_busy != (RUN in st.session_state):
        st.rerun()  # the curves want the new dots, and this part has to look for news, or no longer
    _order(chosen, run)
    if run is not None:
        done = f"{run.taken} of {len(run.asked)} points" if run.taken else "Starting a process …"
        st.progress(min(1.0, run.taken / len(run.asked)), done)
    for why in st.session_state.get(SAID, ()):
        st.warning(why)


def _end(run: Run) -> None:
    st.session_state.pop(RUN)
    if why := run.child.failure(SECONDS):
        st.session_state.setdefault(SAID, []).append(f"What was still to be measured {why}.")


def ceilings(now: Machine) -> list[float]:
    """GiB to choose from. Where the system does not say what is free, half of all memory is taken for that."""
    room = SHARE * (now.free or now.total // 2 or GUESS)
    return [gib for gib in CEILINGS if gib * GIB <= room] or [CEILINGS[0]]


def offered(allowed: list[float], *, running: bool) -> tuple[list[float], float]:
    """The GiB of the list and the one that is chosen in it, of those allowed: what is free changes all the time.

    What was chosen stays there while a measurement runs under it; else the largest that does not exceed it is taken.
    """
    wanted = st.session_state.get(WANTED, allowed[min(3, len(allowed) - 1)])
    if running and wanted not in allowed:
        return sorted([*allowed, wanted]), wanted
    return allowed, max((gib for gib in allowed if gib <= wanted), default=allowed[0])


def _choose_ceiling() -> None:
    if (gib := st.session_state[CEILING]) in CEILINGS:
        st.session_state[WANTED] = gib


def _order(chosen: Chosen, run: Run | None) -> None:
    now = machine()
    allowed, st.session_state[CEILING] = offered(ceilings(now), running=run is not None)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="memory_order"):
        kinds = st.multiselect(
            "Layers", list(KINDS), default=FIRST, format_func=KINDS.__getitem__, key=KIND_CHOICE, width=460,
            disabled=run is not None,
        )  # fmt: skip
        st.selectbox(
            "Memory ceiling", allowed, format_func=lambda g: f"{g:g} GiB", key=CEILING, on_change=_choose_ceiling,
            width=150, disabled=run is not None,
        )  # fmt: skip
        if run is not None:
            st.button("Cancel", icon=":material/stop:", on_click=_cancel, key="memory_cancel")
        else:
            st.button(
                "Measure here", icon=":material/straighten:", type="primary", on_click=begin, key="memory_measure",
                args=(chosen,), disabled=not kinds,
            )  # fmt: skip
    st.caption(
        "Measured at the chosen value of the axis, at a half and at a quarter of it, with the other sizes as above. "
        f"{_bounds(now)}"
    )


def _bounds(now: Machine) -> str:
    free = f"{said(now.free)} are free now." if now.free else "This system does not say how much is free."
    held = "" if sys.platform == "linux" else " This system enforces no ceiling, so only what should fit is run."
    return f"{free} A measurement is in float32, on random numbers, and takes at most {SECONDS} seconds.{held}"


def compared(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a dot: predicted and measured, and how far apart."""
    rows = []
    for dot in found:
        kind, sizes = dot["asked"], dot["sizes"]
        point = sizes.point(kind)
        pairs = 4 * total(point.pairs)
        rows.append(
            {
                "Layers": budget.name(kind, sizes),
                "Sizes": f"s {sizes.side}, b {sizes.batch}, h {sizes.heads}, l {sizes.layers}",
                "Maps, predicted": said(pairs) if pairs else "none",
                "Maps, measured": _measured(dot["pairs"]),
                "Apart": _apart(dot["pairs"], pairs),
                "All kept, predicted": said(budget.size_of(kind, replace(sizes, entry=4), "kept")),
                "All kept, measured": said(dot["kept"]),
                "Peak, measured": said(dot["peak"]),
                "Process grew by": said(dot["resident"]) if dot["resident"] else "–",
                "A step, estimated": budget.said_time(budget.seconds(kind, sizes)),
                "A step, measured": budget.said_time(dot["seconds"]),
            }
        )
    return rows


def _measured(size: int | None) -> str:
    return "cannot be told apart" if size is None else said(size) if size else "none"


def _apart(measured: int | None, predicted: int) -> str:
    return f"{measured / predicted - 1:+.1%}" if measured and predicted else "–"
