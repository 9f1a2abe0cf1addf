"""The selection in the URL: what is written is read back, and what makes no sense is said and left out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import canvas, memory_view, paper_tables, state, workbench
from explorer.budget import Sizes
from explorer.state import COUNTED, NAMES, Selection, clamp, from_query, moved, to_query

counts = st.integers(0, 10**6)
pixels = st.just({}) | st.fixed_dictionaries({"row": counts, "column": counts, "pinned": st.just(True)})
selections = st.builds(
    lambda pixel, **others: Selection(**pixel, **others),
    pixels, image=st.text(min_size=1, max_size=40), layer=st.text(max_size=40), head=counts, key=counts, value=counts,
    step=st.integers(0, 8), cell=st.sampled_from(["", "lambda", "output"]),
)  # fmt: skip


@given(selections)
def test_a_selection_survives_its_url(selection):
    assert from_query(to_query(selection)) == (selection, [])


def test_the_default_needs_no_parameters():
    assert to_query(Selection()) == {}


def test_urls_count_from_one():
    assert to_query(Selection(row=0, pinned=True))["row"] == "1"
    assert from_query({"row": "1"})[0].row == 0


def test_a_link_names_the_pixel_that_is_pinned_and_no_other():
    default = Selection()
    assert to_query(replace(default, row=3)) == {}
    assert to_query(replace(default, pinned=True)) == {"row": "9", "column": "9"}
    assert from_query({"column": "9"})[0].pinned and not from_query({"head": "1"})[0].pinned
    assert moved(default, row=3).pinned and not moved(default, row=default.row, head=2).pinned


@pytest.mark.parametrize(
    ("sizes", "chosen", "found"),
    [
        ([(8, 8)], {}, (4, 4)),
        ([(16, 16), (8, 6), (16, 16)], {}, (8, 8)),
        ([(16, 16), (8, 8)], {"row": 6, "column": 15, "pinned": True}, (3, 7)),
        ([(16, 16), (8, 8), (16, 16)], {"row": 6, "column": 14, "pinned": True}, (6, 14)),
        ([(8, 8)], {"row": 99, "column": 2, "pinned": True}, (99, 2)),  # of a link: `clamp` says so
    ],
)
def test_the_pixel_keeps_its_place_from_map_to_map(monkeypatch, sizes, chosen, found):
    monkeypatch.setattr(state.st, "session_state", {})
    selection = Selection(**chosen)
    for size in sizes:
        selection = state.fit_pixel(selection, *size)
    assert (selection.row, selection.column) == found and selection.pinned == bool(chosen)


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=200)))
def test_any_text_is_survived(parameters):
    selection, notes = from_query(parameters)
    fits, _ = clamp(selection, {"row": 16, "column": 16, "head": 4, "key": 16, "value": 32, "step": 9})
    assert 0 <= fits.row < 16
    assert 0 <= fits.step < 9
    assert all(note.endswith(".") and "\n" not in note for note in notes)


def test_nonsense_is_named():
    for text in ("", "-3", "0", "1e9", "٣", "9" * 40, "nan"):
        selection, notes = from_query({"row": text})
        assert selection.row == Selection().row
        assert len(notes) == 1
        assert "row" in notes[0]


def test_out_of_range_goes_to_the_nearest():
    selection, notes = clamp(Selection(row=99, head=7), {"row": 16, "head": 4})
    assert (selection.row, selection.head) == (15, 3)
    assert "up to 16" in notes[0]
    assert "head 8" in notes[1]


def test_an_unknown_cell_is_closed():
    assert clamp(Selection(cell="nonsense"), {})[0].cell == ""


def test_a_cell_of_a_half_that_the_layer_does_not_have_is_closed():
    here = canvas.cells({"content": False, "position": True})
    assert here == ["position_lambda", "lambda", "output"]
    selection, notes = clamp(Selection(cell="content_lambda"), {}, here)
    assert selection.cell == "" and "of a half that this layer does not have" in notes[0]
    assert clamp(Selection(cell="position_lambda"), {}, here) == (Selection(cell="position_lambda"), [])


def test_counted_fields_exist():
    assert set(COUNTED) <= set(NAMES)


MOVED = workbench.Architecture("resnet26", "CCLL")


@pytest.mark.parametrize(
    ("page", "key", "address", "kept", "found"),
    [
        (memory_view, memory_view.SIZES, {"sizes": "s64"}, Sizes(side=28), Sizes(side=64)),
        (memory_view, memory_view.SIZES, {"along": "batch"}, Sizes(side=28), Sizes()),
        (workbench, workbench.SHOWN, {"net": "resnet26~CLLL"}, MOVED, replace(MOVED, stages="CLLL")),
        (workbench, workbench.SHOWN, {"net": "nonsense"}, MOVED, MOVED),
        (paper_tables, paper_tables.TABLE, {"table": "scope"}, "khu", "scope"),
        (paper_tables, paper_tables.TABLE, {"net": "resnet50~CCLL"}, "khu", "placement"),
    ],
)
def test_back_brings_what_its_address_says(monkeypatch, page, key, address, kept, found):
    """An address says all that is not as at the start. By the menu a page has none; while it is open none is read."""
    for opened, query, expected in ((True, address, found), (True, {}, kept), (False, address, kept)):
        session = {key: kept, "page_opened": opened}
        monkeypatch.setattr(state.st, "session_state", session)
        monkeypatch.setattr(state.st, "query_params", query)
        page.arrive()
        assert session[key] == expected
