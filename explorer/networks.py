"""Which networks a session looks at: the first, that every page shows, and a second to compare it with."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st
import torch

from explorer import loading, places, shelf, state, words
from explorer.loading import HOME, Brought
from lambda_core.checkpoints import Checkpoint, CheckpointRefused, load_checkpoint, save_checkpoint, zoo

NONE = "none"
REFUSED = ("refused_first", "refused_second")  # where the session keeps why a network was not opened
WAITING = "network_waiting"  # and the place and the name of one that was chosen and is still to be fetched
ROWS = 400  # of the table of keys that do not fit
FILE = "file"  # in links, a network that does not ship: they say that there was one
NOT_BROUGHT = "The link was made with a network that no link can carry: open its file again. Here is one that ships."


@dataclass(frozen=True)
class Opened:
    """A network ready to use: its name, the key that names its content, and the checkpoint."""

    name: str
    key: str
    checkpoint: Checkpoint


def _opened(mine: Brought | None) -> Opened:
    known = mine or loading.shipped(HOME)
    return Opened(known.name, known.key, loading.checkpoint_of(mine))


def first() -> Opened:
    """The network that every page shows."""
    return _opened(loading.brought())


def second() -> Opened | None:
    """The one beside it, if one was chosen."""
    if "second" not in st.session_state:
        return None
    return _opened(st.session_state["second"])


def linked(name: str) -> list[str]:
    """Open the network that a link names, and say so where it cannot be: links know those that ship."""
    if name == FILE:
        return [] if in_links() == FILE else [NOT_BROUGHT]
    if name and name not in zoo():
        return ["The link names a network that does not ship with this explorer, so the previous one stays open."]
    _open("first", name or HOME, None)
    return [_sentence(refused)] if (refused := st.session_state.get("refused_first")) else []


def in_links() -> str:
    """How links name the network that every page shows; empty for home, FILE for one that no link can bring."""
    mine = loading.brought()
    if mine is None:
        return ""
    return mine.name if mine.content is None else FILE


def second_in_links() -> str:
    """How links name the network that is compared with; empty for none, and for a file."""
    if "second" not in st.session_state:
        return ""
    mine = st.session_state["second"] or loading.shipped(HOME)
    return mine.name if mine.content is None else ""


def sent_content() -> bytes | None:
    """The bytes of the network that every page shows, where it does not ship."""
    mine = loading.brought()
    return mine.content if mine else None


def _content(name: str) -> bytes:
    """The bytes of a network that timm fetches, by name. Raises CheckpointRefused, as where there is no connection."""
    found = load_checkpoint(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network.safetensors")
        save_checkpoint(
            file, found.model, architecture=found.card["architecture"], classes=found.classes,
            preprocess=found.preprocess, card=found.card, dtype=torch.float32,
        )  # fmt: skip
        return file.read_bytes()


def _use_first(name: str, content: bytes | None) -> None:
    if content is None and name == HOME:
        st.session_state.pop("checkpoint", None)
    else:
        loading.bring(name, content)
    now = state.current()
    if now.layer not in [place.path for place in places.places()]:  # another network: no note about a link
        state.choose(replace(now, layer="", cell=""))


def _use_second(name: str, content: bytes | None) -> None:
    st.session_state["second"] = None if content is None and name == HOME else loading.opened(name, content)[0]


USE: dict[str, Callable[[str, bytes | None], None]] = {"first": _use_first, "second": _use_second}


def open_first(name: str, content: bytes | None = None) -> str | None:
    """Make a network by name, or the one in these bytes, that of every page; else the reason why not, in a sentence."""
    _ask("first", name, content)
    refused = st.session_state.get("refused_first")
    return None if refused is None else _sentence(refused)


def _ask(place: str, name: str, content: bytes | None) -> None:
    """Open a network that was chosen: one that timm fetches in the run that follows, which says so meanwhile."""
    st.session_state.pop(WAITING, None)
    if content is None and name in shelf.labels() and name not in zoo():
        st.session_state.pop(f"refused_{place}", None)
        st.session_state[WAITING] = place, name
    else:
        _open(place, name, content)


def fetch() -> str | None:
    """Open the network that waits for it, if one does; why the one of every page was not opened, in a sentence."""
    if WAITING not in st.session_state:
        return None
    place, name = st.session_state[WAITING]
    with st.spinner(f"Fetching {name} from Hugging Face …"):
        del st.session_state[WAITING]
        _open(place, name, None)
    refused = st.session_state.get("refused_first") if place == "first" else None
    return None if refused is None else _sentence(refused)


def _open(place: str, name: str, content: bytes | None) -> None:
    """Open a network for a place, or keep the old one and the reason why not.

    A browser may send another name than those it was offered, which would be read as the path of a file of the server.
    """
    st.session_state.pop(f"refused_{place}", None)
    try:
        if content is None and name not in shelf.labels():
            raise CheckpointRefused("there is no such network here")
        if content is None and name not in zoo():
            content = _content(name)
        USE[place](name, content)
    except CheckpointRefused as error:
        st.session_state[f"refused_{place}"] = error


def _chosen(place: str) -> None:
    name = st.session_state[f"network_{place}"]
    if name == NONE:
        st.session_state.pop("second", None)
        st.session_state.pop("refused_second", None)
        st.session_state.pop(WAITING, None)
    else:
        _ask(place, name, None)


def _sent(place: str) -> None:
    sent = st.session_state.get(f"file_{place}")
    if sent is not None:
        _ask(place, sent.name, sent.getvalue())


def choose(place: str, label: str) -> None:
    """A list of networks by name and a way to bring a file; below, why one was not opened."""
    now = first() if place == "first" else second()
    labels = shelf.labels()
    listed = [*([NONE] if place == "second" else []), *labels]
    shown = NONE if now is None else now.name
    if shown not in listed:  # a file, or a network on its way: it stays in the list while it is the one on show
        listed.append(shown)
    st.session_state[f"network_{place}"] = shown
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            label, listed, format_func=lambda name: labels.get(name, name),
            key=f"network_{place}", on_change=_chosen, args=(place,), width=320,
            help=None if place == "second" else "Type to search: home, large, small, content, scope, timm …",
        )  # fmt: skip
        with st.popover("Open a file", icon=":material/upload_file:"):
            st.file_uploader(
                "A .safetensors file with a card, the state.pt of a training run, or a state dict of timm’s or "
                "d-li14’s lambda networks",
                key=f"file_{place}", on_change=_sent, args=(place,), max_upload_size=200,
            )  # fmt: skip
    if refused := st.session_state.get(f"refused_{place}"):
        _explain(refused)


def _explain(refused: CheckpointRefused) -> None:
    """Why a network was not opened, in a sentence; where keys do not fit, each of them."""
    st.info(_sentence(refused))
    if not refused.mismatches:
        return
    rows = [
        {
            "Key": m.key[:120],
            "In the file": "nothing" if m.found is None else " × ".join(map(str, m.found)) or "one number",
            "Would fit": "no such key" if m.expected is None else " × ".join(map(str, m.expected)) or "one number",
        }
        for m in refused.mismatches[:ROWS]
    ]
    st.dataframe(rows, hide_index=True, width="stretch", height=min(320, 38 + 35 * len(rows)))
    if len(refused.mismatches) > ROWS:
        st.caption(f"The first {ROWS} of {len(refused.mismatches):,} keys that do not fit.")


def _sentence(refused: CheckpointRefused) -> str:
    return f"Not opened: {words.escaped(str(refused))}."
