"""What a file says of itself is shown as it is, and is no markup."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import words


def test_markdown_is_shown_as_it_is():
    assert words.escaped("![x](http://y) `z`") == "\\!\\[x\\](http\\:\u2060//y) \\`z\\`"


@pytest.mark.parametrize(
    "text", ["www.evil.com", "see WWW.evil.com", "a@b.co", "http://evil.com/x", "https://evil.com"]
)
def test_an_address_becomes_no_link(text):
    """By the patterns with which Streamlit's Markdown looks for one in what is left when escapes are read."""
    for shown in (words.unlinked(text), words.escaped(text).replace("\\", "")):
        assert not re.search(r"(https?://|www(?=\.))([-.\w]+)|[-.\w+]+@[-\w]+(?:\.[-\w]+)+", shown, re.IGNORECASE)
        assert shown.replace("\u2060", "") == text


@given(st.text(max_size=80))
def test_plain_words_hold_no_markup(text):
    found = words.plain(text, 20)
    assert len(found) <= 20 and found == found.strip()
    assert re.fullmatch(r"[\w .,'()+-]*", found) and "_" not in found


def test_plain_words_stay_as_they_are():
    assert words.plain("English springer, Jack's (2)") == "English springer, Jack's (2)"


def test_what_a_network_knows_is_a_sentence():
    assert words.knows(()) == ""
    assert "10 kinds of things, such as 0, 1 and 2, and" in words.knows([str(n) for n in range(10)])
    assert "such as cat and dog, and" in words.knows(["cat", "dog"])
    assert words.knows(["cup"]) == "It knows only one kind of thing, cup, so that is its answer whatever it sees."


def test_classes_without_a_name_count_from_zero():
    assert words.class_names((), 2) == ("class 0", "class 1")
    assert words.class_names(("cat", "", "<>"), 4) == ("cat", "class 1", "class 2", "class 3")


def test_long_names_are_cut_with_a_sign_and_told_apart():
    long = [f"a name that a taxonomist would be proud of, number {number}" for number in range(3)]
    shown = words.class_names((*long, "x" * 40), 4)
    assert shown[1] == "a name that a taxonomist would be proud… (1)" and shown[3] == "x" * 40
    assert len(set(shown)) == 4
    assert all(name in words.knows(long) for name in shown[:3])
