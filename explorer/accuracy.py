"""Accuracy with halves switched off: measured here on request, measured beforehand, and trained without."""

from dataclasses import dataclass

import streamlit as st
import torch
from torch.utils.data import Dataset

from explorer import ablated, halves, loading, measured, networks
from explorer.halves import Off
from lambda_core import data
from lambda_core.data import subset
from lambda_core.evaluation import standard_error
from lambda_core.tables import published
from lambda_core.training.halves import right_answers
from lambda_core.training.held_out import data_of

BATCH = 20
COUNTS = (100, 200, 500, 1000)
WHOLE: Off = frozenset()
NAMES = {"content": "content only", "position": "position only", "content and position": "both halves"}
UNBROKEN = "\u00a0"  # a space that does not break, for the cells of a table
MEASURED = {  # by what a network has, as the paper calls it: a key of halves.json, and a network of the ablations
    "content and position": ("whole", "micro_ccll"),
    "content": ("without position", "micro_content"),
    "position": ("without content", "micro_position"),
}

JOB = "halves_job"  # where the session keeps the measurement that is going on

Counts = tuple[int, int]  # right answers, pictures seen


@dataclass(frozen=True)
class Job:
    """A measurement that is going on: what is switched off, in which network, and the pictures it takes."""

    network: str
    off: Off
    pictures: Dataset
    indices: list[int]


def _measured() -> dict[Off, Counts]:
    """What this session measured on its network, by what was switched off."""
    return st.session_state.setdefault("halves_measured", {}).setdefault(loading.network_key(), {})


def _why_not() -> str | None:
    """Why nothing can be measured, and what to do about it; None where the pictures seem to be there."""
    network = networks.first()
    if reason := measured.unfit(network):
        return f"It cannot be measured here: {reason}."
    if data_of(network.checkpoint.card) is None:
        return "The card of this network names no data set that is known here, so its accuracy cannot be measured."
    return None if measured.here(network) else measured.to_bring(network)


def _begin(off: Off, count: int) -> None:
    """Take `count` pictures for a measurement, which `_work` then does, or note why there are none."""
    try:
        pictures = measured.pictures(networks.first())
    except (OSError, ValueError) as error:
        st.session_state["halves_message"] = measured.stopped(networks.first(), error)
        return
    st.session_state.pop("halves_message", None)
    indices = subset(len(pictures), count)
    st.session_state[JOB] = Job(loading.network_key(), off, pictures, indices)


def _work() -> None:
    """One batch: the whole network and the switched one on the same pictures. A cancel keeps what was counted."""
    job: Job | None = st.session_state.get(JOB)
    if job is None or job.network != loading.network_key():
        st.session_state.pop(JOB, None)
        st.rerun()
    counted = _measured()
    counts = {variant: counted.get(variant, (0, 0)) for variant in (WHOLE, job.off)}
    begin = min(seen for _, seen in counts.values())
    end = min(begin + BATCH, len(job.indices))
    if begin < end:
        try:
            batch = [job.pictures[i] for i in job.indices[begin:end]]
        except (OSError, ValueError) as error:  # damaged, or gone since they were listed
            st.session_state.pop(JOB)
            st.session_state["halves_message"] = measured.stopped(networks.first(), error)
            st.rerun()
        images, labels = torch.stack([image for image, _ in batch]), torch.tensor([label for _, label in batch])
        for variant, (right, seen) in counts.items():
            if seen < end:
                with loading.LOCK:
                    right += right_answers(loading.checkpoint(), images, labels, halves.grouped(variant))
                counted[variant] = right, end
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Cancel", key="measure_cancel", on_click=st.session_state.pop, args=(JOB, None))
        st.progress(end / len(job.indices), f"{end} of {len(job.indices)} photographs")
    if end == len(job.indices):
        st.session_state.pop(JOB)
        st.rerun()


def _results() -> None:
    rows = []
    for variant, (right, seen) in _measured().items():
        name, error = halves.said(variant), standard_error(right, seen)
        rows.append(f"| {name[0].upper()}{name[1:]} | {100 * right / seen:.1f}\u00a0% | ± {error:.1f} | {seen:,} |")
    if rows:
        st.markdown("\n".join(["| Network | top-1 | standard error | photographs |", "|:--|--:|--:|--:|", *rows]))


def _here(off: Off) -> None:
    st.markdown("**Measured here, with these switches**")
    if sentence := _why_not():
        st.markdown(sentence)
        return
    if JOB in st.session_state:
        st.fragment(_work, run_every=0.05)()  # a run a batch: between two of them a press is heard
    else:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            count = st.selectbox("Photographs", COUNTS, index=1, key="measure_count", width=120)
            st.button(
                f"Measure on {count} validation photographs", key="measure", on_click=_begin, args=(off, count)
            )  # fmt: skip
        if message := st.session_state.get("halves_message"):
            st.info(message)
    _results()
    st.caption("The photographs are drawn at random from the validation split, always the same ones.")


def _elsewhere() -> None:
    """A row for what a network has: this one with the rest zeroed, and small ones and the paper's trained so."""
    zeroed, known = halves.measured_before() or {}, ablated.networks()
    paper = {row["row"]: row["top1"] for row in published()["tables"]["content_vs_position"]["rows"]}
    columns = [("Rest zeroed", {half: _per_cent(zeroed.get(key)) for half, (key, _) in MEASURED.items()})]
    columns.append(("Trained so, small", {half: _trained(known.get(name)) for half, (_, name) in MEASURED.items()}))
    columns.append(("Trained so, paper", {half: _per_cent(paper.get(half)) for half in MEASURED}))
    columns = [(title, cells) for title, cells in columns if any(cells.values())]
    lines = [["Halves", *(title for title, _ in columns)], [":--", *("--:" for _ in columns)]]
    lines += [[NAMES[half].replace(" ", UNBROKEN), *(cells[half] or "–" for _, cells in columns)] for half in MEASURED]
    st.markdown("**Zeroed is not the same as trained without**")
    st.markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))
    if sentence := ablated.missing([name for _, name in MEASURED.values()]):
        st.markdown(sentence)
    where = ablated.where()
    seeds = max((len(known[name]["runs"]) for _, name in MEASURED.values() if name in known), default=0)
    brackets = "; in brackets, the best seed minus the worst" if seeds > 1 else ""
    small = f" Small networks: {where}{brackets}." if where else ""
    count = f" This network: {zeroed['images']:,} photographs." if zeroed else ""
    st.caption(
        "Right answers (top-1). Switched off after training, a half takes away what the other learned to rely on. "
        f"Trained without it from the start, a network learns to do without.{count}{small} Paper: ResNet-50 on "
        "ImageNet (Bello 2021, ablation study)."
    )


def _per_cent(top1: float | None) -> str:
    return "" if top1 is None else f"{top1:.1f}\u00a0%"


def _trained(network: ablated.Network | None) -> str:
    """The mean, and in brackets the spread where there are seeds."""
    if network is None:
        return ""
    return _per_cent(network["top1"]) + (f" ({network['spread']:.1f})" if len(network["runs"]) > 1 else "")


def show(off: Off) -> None:
    """Two columns: what can be measured here, and what others measured, on the photographs of Imagenette."""
    row = st.container(horizontal=True, gap="large")
    with row.container(width=590):
        _here(off)
    if tuple(loading.checkpoint().classes) == data.IMAGENETTE_CLASSES:
        with row.container(width=480):
            _elsewhere()
