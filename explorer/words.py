"""Text that others had a hand in, as of a file: on a page nothing in it is markup. No streamlit."""

import re


def plain(text: str, most: int = 60) -> str:
    """Letters, digits and a few signs of it, at most so many: neither HTML nor Markdown, and fit for a link."""
    return " ".join(re.sub(r"[^\w\s.,'()+-]|_", " ", text).split())[:most].strip()


def escaped(text: str) -> str:
    """All of it, as Markdown that shows it as it is."""
    return "".join("\\" + letter if letter in "\\`*_[]<>#$|~:!" else letter for letter in text)
