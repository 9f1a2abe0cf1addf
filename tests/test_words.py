"""What a file says of itself is shown as it is, and is no markup."""

import re

from hypothesis import given
from hypothesis import strategies as st

from explorer import words


def test_markdown_is_shown_as_it_is():
    assert words.escaped("![x](http://y) `z`") == "\\!\\[x\\](http\\://y) \\`z\\`"


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
    assert "such as cat and dog, and" in words.knows(["cat", "dog"]) and "such as cat, and" in words.knows(["cat"])
