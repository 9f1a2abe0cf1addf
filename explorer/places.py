"""Where a page can look into a network: at its lambda layers, or at the blocks of a network that has none."""

from dataclasses import replace

import streamlit as st
from torch import nn

from explorer import loading, state
from explorer.loading import LayerInfo
from explorer.state import Selection
from lambda_core import LambdaLayer
from lambda_core.switching import HALVES
from lambda_core.switching import halves as built_halves

PILLS = 8  # more than these are a list to open


def has_lambdas() -> bool:
    """Whether this session's network has a lambda layer."""
    return bool(loading.lambda_layers(loading.checkpoint().model))


def halves() -> tuple[str, ...]:
    """The halves that some lambda layer of this session's network has; none for a network without lambda layers."""
    return halves_of(loading.checkpoint().model)


def halves_of(model: nn.Module) -> tuple[str, ...]:
    """The halves that some lambda layer of a network has."""
    there = {half for names in built_halves(model).values() for half in names}
    return tuple(half for half in HALVES if half in there)


def largest_table() -> int:
    """The longest side of an E in this session's network, the r of a lambda layer; 0 without a position half."""
    layers = (part for part in loading.checkpoint().model.modules() if isinstance(part, LambdaLayer))
    return max((max(layer.embeddings.shape[-2:]) for layer in layers if layer.embeddings is not None), default=0)


def places() -> list[LayerInfo]:
    """The lambda layers of this session's network, else its blocks; the output of each is a map (b, C, H, W)."""
    model = loading.checkpoint().model
    return loading.lambda_layers(model) or [
        LayerInfo(f"stages.{stage}.{name}", f"Stage {int(stage) + 1}, block {number + 1}")
        for stage, parts in model.get_submodule("stages").named_children()
        for number, name in enumerate(name for name, part in parts.named_children() if any(part.children()))
    ]


def fitted(selection: Selection) -> Selection:
    """The selection with a place that the network has: by default the first lambda layer, or the last block.

    The last block is the usual one for Grad-CAM: its map knows most of the classes.
    """
    paths = [place.path for place in places()]
    if selection.layer in paths:
        return selection
    fits = replace(selection, layer=paths[0 if has_lambdas() else -1])
    state.choose(fits)
    return fits


def _chosen(key: str) -> None:
    if chosen := st.session_state[key]:
        state.choose(replace(state.current(), layer=chosen, cell=""))


def choose(selection: Selection, label: str, key: str) -> None:
    """Places to click. Many lambda layers are left to the sidebar, which lists them all."""
    titles = {place.path: place.title for place in places()}
    if len(titles) > PILLS and has_lambdas():
        return
    st.session_state[key] = selection.layer
    if len(titles) <= PILLS:
        st.pills(label, list(titles), format_func=titles.__getitem__, key=key, on_change=_chosen, args=(key,))
    else:
        st.selectbox(label, list(titles), format_func=titles.__getitem__, key=key, on_change=_chosen, args=(key,))
