"""One selection, shared by all pages and held in the URL: any view is a link."""

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import streamlit as st

CELLS = ("content_lambda", "position_lambda", "lambda", "output")
LAST_STEP = 8
ANEW = "began_anew"
FORGOTTEN = (
    "The server was started again and has forgotten what was chosen before, so picture and network are those of a "
    "first visit."
)


@dataclass(frozen=True)
class Selection:
    """What the pages look at. Rows, columns, heads, keys and values count from 0 here and from 1 on screen and in URLs.

    image: a picture of the gallery, or one of `sidebar.SENT`. network: one that ships, empty for home, or
    `networks.FILE`. layer: a lambda layer's path in it, empty for the first. pinned: whether the pixel was chosen; else
    it is the middle of the map, or follows the pointer. step: 0 the overview, 1 to 8 the steps. cell: the matrix whose
    cell (key, value) is open, or none. scope: the r that the scope page draws, 0 for the layer's own. target: the class
    that attributions explain, empty for the likeliest.
    """

    image: str = "coffee"
    network: str = ""
    layer: str = ""
    row: int = 8
    column: int = 8
    head: int = 0
    key: int = 0
    value: int = 0
    step: int = 0
    cell: str = ""
    scope: int = 0
    target: str = ""
    pinned: bool = False


NAMES = tuple(field.name for field in fields(Selection) if field.name != "pinned")  # a link that has a pixel pins it
PIXEL = ("row", "column")
COUNTED = ("row", "column", "head", "key", "value")  # shown from 1


def to_query(selection: Selection) -> dict[str, str]:
    """The URL parameters of a selection: what differs from the default, and the pixel if it is pinned."""
    default = Selection()
    values = {name: getattr(selection, name) for name in NAMES}
    return {
        name: str(value + 1) if name in COUNTED else str(value)
        for name, value in values.items()
        if (selection.pinned if name in PIXEL else value != getattr(default, name))
    }


def from_query(parameters: Mapping[str, str]) -> tuple[Selection, list[str]]:
    """A selection from URL parameters, and a sentence for each that could not be understood."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    for field in fields(Selection):
        text = parameters.get(field.name)
        if text is None or field.name not in NAMES:
            continue
        if field.type is int:
            number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
            number -= field.name in COUNTED
            if number < 0:
                first = int(field.name in COUNTED)
                notes.append(f"The link's “{field.name}” is not a number that counts from {first}, so it was left out.")
            else:
                found[field.name] = number
        else:
            found[field.name] = text[:120]
    return Selection(**found, pinned=any(name in found for name in PIXEL)), notes


def moved(selection: Selection, **changes: Any) -> Selection:
    """The selection with changes. A pixel that moves is pinned."""
    found = replace(selection, **changes)
    return found if (found.row, found.column) == (selection.row, selection.column) else replace(found, pinned=True)


def fit_pixel(selection: Selection, height: int, width: int) -> Selection:
    """The selection on a map of this size: after one of another size, the pixel is at the same place of the picture.

    A pixel of a link stays as it is, for `clamp` to judge; one that nobody chose is the middle.
    """
    before = st.session_state.get("selection_map")
    st.session_state["selection_map"] = (height, width)
    if before == (height, width):
        return selection
    if not selection.pinned:
        return replace(selection, row=height // 2, column=width // 2)
    if before is None:
        return selection
    return replace(selection, row=selection.row * height // before[0], column=selection.column * width // before[1])


def clamp(
    selection: Selection, limits: Mapping[str, int], cells: Collection[str] = CELLS
) -> tuple[Selection, list[str]]:
    """The nearest selection that exists, and notes. limits: for each number its count, {"row": 16, ...}.

    cells: the matrices that the layer has.
    """
    notes = []
    for name, count in limits.items():
        number = getattr(selection, name)
        if not 0 <= number < count:
            base = 1 if name in COUNTED else 0
            notes.append(
                f"There is no {name} {number + base} here: {name}s go up to {count - 1 + base}, "
                "so the nearest is shown."
            )
            selection = replace(selection, **{name: min(max(number, 0), count - 1)})
    if selection.cell and selection.cell not in CELLS:
        notes.append("The link's “cell” names no matrix of a lambda layer, so no cell is open.")
        selection = replace(selection, cell="")
    if selection.cell and selection.cell not in cells:
        notes.append("The link's “cell” is of a half that this layer does not have, so no cell is open.")
        selection = replace(selection, cell="")
    return selection, notes


def current() -> Selection:
    """This session's selection."""
    return st.session_state.setdefault("selection", Selection())


def version() -> int:
    """Counts the changes that did not come from the canvas, so that the canvas knows when to follow."""
    return st.session_state.get("selection_version", 0)


def note(sentences: list[str]) -> None:
    """Keep sentences about the link that was opened, for the page to show; without a link there are none."""
    if sentences and st.session_state.get("selection_linked"):
        shown = st.session_state.pop("selection_noted", None)
        before = [] if shown else st.session_state.get("selection_notes", [])
        st.session_state["selection_notes"] = [*before, *sentences]


def take_notes() -> list[str]:
    """Those sentences, for as long as what they led to stays selected: a run that nobody asked for takes none away."""
    st.session_state.pop(ANEW, None)  # a page without picture and network leaves it to the next one
    if st.session_state.setdefault("selection_noted", current()) != current():
        _forget_notes()
    return list(st.session_state.get("selection_notes", []))


def _forget_notes() -> None:
    for name in ("selection_notes", "selection_noted"):
        st.session_state.pop(name, None)


def choose(selection: Selection, *, from_canvas: bool = False) -> None:
    """Make a selection this session's."""
    if selection == st.session_state.get("selection"):
        return
    st.session_state["selection"] = selection
    if not from_canvas:
        st.session_state["selection_version"] = version() + 1


def write_url(selection: Selection) -> None:
    """Show the selection in the address bar; every page calls this once, last."""
    others = {name: value for name, value in st.query_params.to_dict().items() if name not in NAMES}
    wanted = {**others, **to_query(selection)}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def put(name: str, text: str) -> None:
    """A choice beside the selection, in the address bar; no longer there where the text is empty."""
    if not text:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != text:
        st.query_params[name] = text


def arrive(page: str, shown: str | None = None) -> None:
    """Called on every run with the page to show. A page that was just opened follows its link, if it came by one.

    shown: the page that the browser shows as it asks. A session that begins with a click on another one is not the
    browser's first: the server has lost that, and by the menu nothing of its selection comes along.

    Only then is the URL read: while a page is open it is written, and a run that starts before the browser has shown
    the last writing would take an old address for a new link.
    """
    if st.session_state.get("page") == page:
        st.session_state["selection_linked"] = st.session_state["page_opened"] = False
        return
    if "page" not in st.session_state and shown not in (None, page) and not st.query_params:
        st.session_state[ANEW] = True
    st.session_state["page"], st.session_state["page_opened"] = page, True
    _forget_notes()
    if st.session_state.get(ANEW):
        st.session_state["selection_notes"] = [FORGOTTEN]
    linked = {name: value for name, value in st.query_params.to_dict().items() if name in NAMES}
    st.session_state["selection_linked"] = bool(st.query_params)
    if linked:
        st.session_state.pop("selection_map", None)
        st.session_state["selection"], sentences = from_query(linked)
        note(sentences)
    if "network" in linked:
        st.session_state["network_linked"] = True
    st.session_state["selection_version"] = version() + 1


def session() -> str:
    """Names this session: a browser that has kept what it draws through a restart of the server meets another one."""
    return st.session_state.setdefault("session_name", secrets.token_hex(4))


def opened() -> bool:
    """Whether this run opened the page: the one in which a link is read."""
    return st.session_state.get("page_opened", False)


def opened_with(names: Iterable[str]) -> bool:
    """Whether the page was opened just now by an address that has one of these parameters: a link, or Back."""
    return opened() and any(name in st.query_params for name in names)


def take_network() -> str | None:
    """The network that a link names, once; None where none did."""
    return current().network if st.session_state.pop("network_linked", False) else None


def pushed() -> tuple[int, Selection]:
    """(version, selection) as last sent to the canvas. It stays while the canvas leads: nothing is sent twice."""
    if st.session_state.get("pushed", (None,))[0] != version():
        st.session_state["pushed"] = (version(), current())
    return st.session_state["pushed"]
