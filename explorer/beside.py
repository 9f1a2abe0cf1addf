"""The network that Predictions compares with, in the address."""

import streamlit as st

from explorer import networks, state
from lambda_core.checkpoints import zoo

COMPARE = "compare"  # in the address


def arrive() -> None:
    """Open the network that a link compares with: links know those that ship."""
    if not state.opened() or not (name := st.query_params.get(COMPARE)):
        return
    if name not in zoo():
        state.note(["The link compares with a network that does not ship with this explorer, so it was left out."])
        return
    networks.USE["second"](name, None)


def write_url() -> None:
    """The network in the address bar, if there is one that a link can bring."""
    state.put(COMPARE, networks.second_in_links())
