"""Measured speed on the architectures page: a child process runs the network in turn with a plain ResNet."""

from dataclasses import dataclass
from statistics import median
from typing import Any

import streamlit as st

from explorer import child, workbench
from explorer.architecture import Architecture
from explorer.blocks import costs
from explorer.child import Child
from explorer.stopwatch import ROUNDS
from lambda_core.measuring import GIB, machine

CEILING, SHARE, SECONDS = 4.0, 0.8, 180  # GiB at most, of what is free, and the time
BATCHES = (1, 2, 4, 8, 16)
RUN, SAID, CHOICE = "speed_run", "speed_said", "speed_batch"
PASSES = {"forward": "Forward", "training": "Training step"}
PLAIN = {"san10": "resnet26", "san15": "resnet50", "san19": "resnet50"}  # for networks that are no ResNet


@dataclass
class Run:
    """One measurement. networks: the one that was asked for first, then what it is compared with."""

    networks: tuple[Architecture, ...]
    batch: int
    child: Child

    def rates(self) -> dict[str, list[float | None]]:
        """Images a second of each network, by kind of pass; None before there is one."""
        found: dict[str, list[float | None]] = {}
        for what in PASSES:
            found[what] = []
            for index in range(len(self.networks)):
                times = [
                    line["seconds"] for line in self.child.lines
                    if line.get("what") == what and line["network"] == index and line["counted"]
                ]  # fmt: skip
                found[what].append(self.batch / median(times) if times else None)
        return found


def compared(found: Architecture) -> tuple[Architecture, ...]:
    """A network, and the ResNet of its depth with convolutions alone, unless that is itself."""
    base = PLAIN.get(found.base, found.base)
    plain = Architecture(base, "C" * 4, found.size).tidy()
    return (found,) if found == plain else (found, plain)


def start(networks: tuple[Architecture, ...], batch: int, seconds: int = SECONDS) -> Run:
    """Raises RuntimeError while another measurement is under way."""
    free = machine().free
    order = {
        "networks": [[one.base, one.overrides(), one.size] for one in networks],
        "batch": batch, "seconds": seconds,
        "gib": round(min(CEILING, SHARE * free / GIB), 1) if free else CEILING,
    }  # fmt: skip
    return Run(networks, batch, child.start("explorer.stopwatch", order))


def _start() -> None:
    st.session_state.pop(SAID, None)
    try:
        st.session_state[RUN] = start(compared(workbench.shown()), st.session_state[CHOICE])
    except RuntimeError as error:
        st.session_state[SAID] = str(error)


def _cancel() -> None:
    if run := st.session_state.pop(RUN, None):  # a second press may come while the first is being carried out
        run.child.stop()


def show() -> None:
    """The button, the passes as they come, and the rates."""
    run = st.session_state.get(RUN)
    busy = run is not None and run.child.busy
    st.fragment(_show, run_every=1.0 if busy else None)(busy)


def _show(was_busy: bool) -> None:
    run: Run | None = st.session_state.get(RUN)
    busy = run is not None and run.child.busy
    if was_busy != busy:  # the page has to look every second, or no longer
        st.rerun()
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.selectbox("Images at once", BATCHES, index=2, key=CHOICE, width=128, disabled=busy)
        if busy:
            st.button("Cancel", icon=":material/stop:", on_click=_cancel)
        else:
            st.button("Measure", icon=":material/timer:", type="primary", on_click=_start)
    if said := st.session_state.get(SAID):
        st.warning(said)
    if run is not None:
        _report(run, busy)


def _report(run: Run, busy: bool) -> None:
    lines = list(run.child.lines)
    if busy:
        whole = 2 * ROUNDS * len(run.networks)
        st.progress(min(1.0, len(lines) / whole), f"{run.networks[0].title}: pass {len(lines) + 1} of {whole}")
    elif refused := next((line["refused"] for line in lines if "refused" in line), None):
        st.warning(refused)
    elif why := run.child.failure(SECONDS):
        st.warning(f"The measurement {why}.")
    rates = run.rates()
    if rates["forward"][0] is None:
        return
    flops = [costs(one).whole.flops for one in run.networks]
    rows = []
    for index, one in enumerate(run.networks):
        row: dict[str, Any] = {"Network": f"{one.title}, {one.size} px"}
        row["FLOPs, B"] = round(flops[index] / 1e9, 2)
        for what, title in PASSES.items():
            rate, plain = rates[what][index], rates[what][-1]
            row[f"{title}, images/s"] = None if rate is None else float(f"{rate:.3g}")
            if len(run.networks) > 1:
                row[f"{title}, of the plain one"] = None if rate is None or plain is None else f"{rate / plain:.2f} ×"
        rows.append(row)
    st.dataframe(rows, hide_index=True, width="content")
    threads = next((line["threads"] for line in lines if "threads" in line), None)
    on = f", {threads} thread{'s' * (threads > 1)}" if threads else ""
    st.caption(
        f"Random images, float32, {run.batch} at once{on}, random weights; the "
        f"median of {ROUNDS - 1} passes after one that is not counted. The networks take turns. What else this machine "
        "does at the time is in the figures: the ratio is safer than the rate."
    )
