"""The brush of the attributions page, run by node: which strokes reach Python, and what paints at all."""

import pytest

from explorer.components.brush import from_text
from tests.node import told_of


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What strokes.js found."""
    return told_of("brush", "strokes.js", tmp_path_factory.mktemp("modules"))


@pytest.fixture(scope="module")
def told(found):
    """What the strokes sent, and how many there were after each part."""
    return [from_text(sent["digits"]) for sent in found["sent"]], found["counts"]


def test_a_stroke_amid_which_an_answer_comes_reaches_python(told):
    masks, counts = told
    assert counts[0] == 2
    assert masks[0][10, 10] and not masks[0][40, 40]
    assert masks[1][10, 10] and masks[1][40, 40]


def test_a_stroke_that_covers_nothing_new_is_not_sent_until_python_moves_the_mask(told):
    masks, counts = told
    assert counts[1:3] == [2, 3]
    assert masks[2][40, 40] and not masks[2][10, 10]


def test_the_right_button_and_a_second_finger_paint_nothing(told):
    masks, counts = told
    assert counts[3:] == [3, 3, 4], "nor does the second finger lift the first"
    assert masks[3][25, 10] and masks[3][25, 15]
    assert not masks[3][55].any() and not masks[3][:, 25:35].any() and not masks[3][25, 46:].any()


def test_the_mask_of_a_session_that_the_server_has_lost_is_not_kept(found):
    assert found["left"] == 0


def test_a_cover_that_changes_nothing_is_answered_and_none_asks_for_one(found):
    nothing, *covered = found["said"]
    assert nothing == [True, "paint something away"]
    assert covered == [[False, "0.00"], [False, "0.00"], [False, "−0.50"], [False, "+0.50"]]
