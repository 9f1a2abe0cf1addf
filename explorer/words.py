"""Text that others had a hand in, as of a file: on a page nothing in it is markup. No streamlit."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from lambda_core import data

LONGEST = 40  # letters of a class, wherever it is named
_LINKED = re.compile(r"www(?=\.)|@|:(?=//)", re.IGNORECASE)  # after which Markdown looks for an address by itself


def class_name(classes: Sequence[str], index: int) -> str:
    """A class as every page calls it, and no other: in plain words, short, with its number where others are alike."""
    return _names(tuple(classes)).get(index) or data.class_name((), index)


def class_names(classes: Sequence[str], count: int) -> tuple[str, ...]:
    """All of them, of a network that tells `count` classes apart."""
    return tuple(class_name(classes, index) for index in range(count))


@lru_cache(maxsize=8)
def _names(classes: tuple[str, ...]) -> dict[int, str]:
    """Those that say something in plain words."""
    short = [_shortened(plain(name, len(name))) for name in classes]
    alike = Counter(short)
    return {i: f"{name} ({i})" if alike[name] > 1 else name for i, name in enumerate(short) if name}


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"


def knows(classes: Sequence[str]) -> str:
    """A sentence for those who wonder why a cup of coffee is called a cassette player."""
    if not classes:
        return ""
    *some, last = class_names(classes, min(3, len(classes)))
    if not some:
        return f"It knows only one kind of thing, {last}, so that is its answer whatever it sees."
    listed = f"{', '.join(some)} and {last}"
    return f"It knows {len(classes):,} kinds of things, such as {listed}, and whatever it sees, it answers with one."


def kernels(count: int, dim_u: int) -> str:
    """What a sheet of E holds, which is drawn summed over u."""
    return f"{count} kernels" if dim_u == 1 else f"{count} sums of {dim_u} kernels over u"


def plain(text: str, most: int = 60) -> str:
    """Letters, digits and a few signs of it, at most so many: neither HTML nor Markdown, and fit for a link."""
    return " ".join(re.sub(r"[^\w\s.,'()+-]|_", " ", text).split())[:most].strip()


def escaped(text: str) -> str:
    """All of it, as Markdown that shows it as it is."""
    return "".join("\\" + letter if letter in "\\`*_[]<>#$|~:!" else letter for letter in unlinked(text))


def unlinked(text: str) -> str:
    """The same to the eye; a word joiner keeps Markdown from taking an address in it for a link, escaped or not."""
    return _LINKED.sub(lambda found: f"{found[0]}\u2060", text)
