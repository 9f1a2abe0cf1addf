"""Text that others had a hand in, as of a file: on a page nothing in it is markup. No streamlit."""

import re
from collections.abc import Sequence


def knows(classes: Sequence[str]) -> str:
    """A sentence for those who wonder why a cup of coffee is called a cassette player."""
    if not classes:
        return ""
    *some, last = classes[:3]
    listed = f"{', '.join(some)} and {last}" if some else last
    return f"It knows {len(classes):,} kinds of things, such as {listed}, and whatever it sees, it answers with one."


def plain(text: str, most: int = 60) -> str:
    """Letters, digits and a few signs of it, at most so many: neither HTML nor Markdown, and fit for a link."""
    return " ".join(re.sub(r"[^\w\s.,'()+-]|_", " ", text).split())[:most].strip()


def escaped(text: str) -> str:
    """All of it, as Markdown that shows it as it is."""
    return "".join("\\" + letter if letter in "\\`*_[]<>#$|~:!" else letter for letter in text)
