"""The architectures page: the network that can be changed, its controls, and where it goes from here."""

from dataclasses import replace
from typing import Any

import streamlit as st

from explorer import architecture as naming
from explorer import architecture_check, architecture_exports, state, tour
from explorer.architecture import BASES, GLOBAL, NORMS, PLAIN, Architecture
from explorer.blocks import Costs, costs, measure
from explorer.components.network_canvas import network_canvas
from explorer.drawing import picture
from explorer.formula import MEANING
from lambda_core.models import SANS

CANVAS = "network"
SHOWN, OTHER, BATCH, MESSAGE, ANSWERED = "bench_shown", "bench_other", "bench_batch", "bench_message", "bench_answered"
CHECKED = "bench_checked"  # the network that PyTorch has counted
WRONG_LINK = "bench_wrong_link"  # why a network of the link could not be had: above all, not beside the controls
SWAPPED = "bench_swapped"  # whether a block has become a lambda layer
LINK = {SHOWN: "net", OTHER: "beside"}  # their query parameters
START = {SHOWN: Architecture(PLAIN, "CCLL"), OTHER: Architecture(PLAIN, "CCCC")}
CHOICES = {
    "size": (96, 128, 160, 192, 224, 256, 288, 320, 384), "scope": (3, 5, 7, 11, 15, 23, 31, GLOBAL),
    "dim_k": (2, 4, 8, 16, 32), "heads": (1, 2, 4, 8, 16), "dim_u": (1, 2, 4, 8),
}  # fmt: skip
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
REFUSALS = (ValueError, TypeError, RuntimeError)  # what `build` and a pass through it say of sizes that do not fit


def arrive() -> None:
    """The networks of the link, or at first those that the page starts with, and why where they could not be."""
    refused = []
    for key, parameter in LINK.items():
        asked = key not in st.session_state or state.opened()
        before = st.session_state.setdefault(key, START[key])
        text = st.query_params.get(parameter)
        if asked and text and text != before.text():
            try:
                found = naming.read(text)
                costs(found)
                st.session_state[key] = found
                st.session_state.pop(MESSAGE, None)  # of what was there before
            except REFUSALS as error:
                refused.append(f"{str(error).removesuffix('.')}. Here is {before.title} instead.")
    if refused:
        st.session_state[WRONG_LINK] = "\n\n".join(refused)
    st.session_state.setdefault(BATCH, 8)


def shown() -> Architecture:
    return st.session_state[SHOWN]


def write_url() -> None:
    """Both networks in the address bar."""
    for key, parameter in LINK.items():
        state.put(parameter, st.session_state[key].text())


def change(**fields: Any) -> None:
    """Another network on the bench, or the same and why not."""
    try:
        found = replace(shown(), **fields).tidy()
        costs(found, st.session_state.get(BATCH, 8))
    except REFUSALS as error:
        st.session_state[MESSAGE] = str(error)
        return
    if found.base == shown().base and _lambdas(found) > _lambdas(shown()):
        st.session_state[SWAPPED] = True
    st.session_state[SHOWN] = found
    for said in (MESSAGE, WRONG_LINK):
        st.session_state.pop(said, None)


def _lambdas(network: Architecture) -> int:
    return "".join(network.letters()).count("L")


def load(found: Architecture) -> None:
    """Put a network on the bench, and beside it, so that changes show against it."""
    st.session_state[SHOWN] = st.session_state[OTHER] = found
    for said in (MESSAGE, WRONG_LINK):
        st.session_state.pop(said, None)


def _edited() -> None:
    """The canvas sent an edit: a letter for each block."""
    said = (st.session_state[CANVAS] or {}).get("edit") or {}
    stages, number = said.get("stages"), said.get("number")
    if not isinstance(number, int) or not isinstance(stages, list) or not all(isinstance(s, str) for s in stages):
        return
    st.session_state[ANSWERED] = number
    change(stages="-".join(stages))


def _chosen(name: str) -> None:
    value = st.session_state[f"bench_{name}"]
    if name == "base":
        letters = shown().stages if value not in SANS else ""
        try:
            letters = Architecture(value, letters).tidy().stages
        except ValueError:  # patterns that the depths of this network do not fit
            letters = ""
        change(base=value, stages=letters)
    else:
        change(**{name: value})


@st.fragment
def show() -> None:
    """The picture, its twins, and the ways on. A click reruns this and nothing else."""
    now, other, batch = shown(), st.session_state[OTHER], st.session_state[BATCH]
    if message := st.session_state.get(WRONG_LINK):
        st.warning(message)
    found = costs(now, batch)
    data = picture(now, found, other, costs(other, batch)) | {"answered": st.session_state.get(ANSWERED, 0)}
    network_canvas(data, key=CANVAS, on_edit_change=_edited)
    if message := st.session_state.get(MESSAGE):
        st.warning(message)
    _controls(now)
    _beside(now, other)
    _checked(now, found, batch)
    _twin(now, found, batch)
    _ways_on(now)
    write_url()
    if st.session_state.get(SWAPPED):
        tour.tick("swap")


def _select(name: str, label: str, now: int, **more: Any) -> None:
    st.session_state[f"bench_{name}"] = now
    options = sorted({*CHOICES[name], now}, key=lambda value: value or 1e9)
    st.selectbox(label, options, key=f"bench_{name}", on_change=_chosen, args=(name,), **more)


def _controls(now: Architecture) -> None:
    own, without = now.effective(), not _lambdas(now)
    st.session_state["bench_base"] = now.base
    with st.container(horizontal=True, gap="small", key="bench_controls"):
        st.selectbox(
            "Network", list(BASES), format_func=BASES.__getitem__, key="bench_base", on_change=_chosen, args=("base",),
            width=240,
        )  # fmt: skip
        _select("size", "Image, px", now.size, width=96)
        _select(
            "scope", "Scope r", own["scope"] or GLOBAL, width=104, disabled=without or not own["position"],
            format_func=lambda r: "global" if r == GLOBAL else str(r),
        )  # fmt: skip
        for name, label, width in (("dim_k", "Depth k", 96), ("heads", "Heads h", 96), ("dim_u", "Intra-depth u", 132)):
            said = MEANING[label[-1]].capitalize()
            _select(name, label, own[name], width=width, disabled=without, help=f"{said}.")
        st.session_state["bench_half"] = now.half
        halves = {"": "both halves", "content": "content alone", "position": "position alone"}
        st.selectbox(
            "Lambdas have", list(halves), format_func=halves.__getitem__, key="bench_half", on_change=_chosen,
            args=("half",), width=152, disabled=without,
        )  # fmt: skip
        st.session_state["bench_norm"] = now.norm
        st.selectbox(
            "Normalization", list(NORMS), format_func=lambda norm: NORMS[norm][0], key="bench_norm",
            on_change=_chosen, args=("norm",), width=232, disabled=without,
        )  # fmt: skip
        st.session_state["bench_batch_choice"] = st.session_state[BATCH]
        st.selectbox("Batch", BATCHES, key="bench_batch_choice", on_change=_rebatch, width=88)


def _rebatch() -> None:
    st.session_state[BATCH] = st.session_state["bench_batch_choice"]


def _set_beside(found: Architecture) -> None:
    st.session_state[OTHER] = found


def _swap() -> None:
    st.session_state[SHOWN], st.session_state[OTHER] = st.session_state[OTHER], st.session_state[SHOWN]


def _beside(now: Architecture, other: Architecture) -> None:
    """What the network is compared with."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="bench_beside"):
        st.button(
            "Compare from here", icon=":material/push_pin:", on_click=_set_beside, args=(now,), disabled=now == other,
            help="Keeps this network beside the one that you go on changing.",
        )  # fmt: skip
        st.button("Swap the two", icon=":material/swap_horiz:", on_click=_swap, disabled=now == other)
        st.button("Undo all", icon=":material/undo:", on_click=load, args=(other,), disabled=now == other)
        if not now.fixed:
            convolutions = Architecture(now.base, "C" * len(now.letters()), now.size).tidy()
            st.button(
                "Compare with convolutions alone", on_click=_set_beside, args=(convolutions,),
                disabled=other == convolutions,
            )  # fmt: skip


def _checked(now: Architecture, found: Costs, batch: int) -> None:
    """What PyTorch counts, once it is asked; and the exports."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="bench_check_row"):
        architecture_exports.downloads(now, batch)
        asked = st.button("Check against PyTorch", icon=":material/rule:", key="bench_check")
        if asked or st.session_state.get(CHECKED) == now:
            st.session_state[CHECKED] = now
            st.caption(architecture_check.verdict(now, found))


def _twin(now: Architecture, found: Costs, batch: int) -> None:
    """The blocks as text, and the sums as text."""
    total = measure(found.whole)
    with st.expander("Blocks as text, and exact numbers"):
        st.session_state["bench_stages"] = now.stages
        st.text_input(
            "A letter a stage, or a dash between stages and a pattern in each: CCLL, C-C-CL-L",
            key="bench_stages", on_change=_chosen, args=("stages",), disabled=now.fixed, max_chars=300,
        )  # fmt: skip
        st.caption(
            f"{now.title} at {now.size} px: {total['params']:,} parameters, {total['flops']:,} FLOPs for one image (2 "
            f"a multiply-add, norms and activation functions not counted), {total['memory']:,} bytes for a batch of "
            f"{batch}: the output of each convolution and of each layer in its place, and the maps and lambdas that "
            "these keep, in float32. Queries, keys, values, norms and activation functions come on top."
        )


def _ways_on(now: Architecture) -> None:
    st.code(f"from lambda_core import build\n\nmodel = {now.line()}", language="python", wrap_lines=True)
    try:
        chosen = naming.small(now)
    except ValueError as error:
        st.caption(str(error))
        return
    if st.button("Train these letters", icon=":material/school:"):
        if why := naming.refused(chosen):
            st.warning(why)
            return
        st.session_state["architecture"] = chosen
        st.switch_page("../pages/training.py")
