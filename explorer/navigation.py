"""The pages, found by looking: a file in pages/ that says `PAGE = {...}` is a page."""

import ast
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from streamlit.runtime.scriptrunner import get_script_run_ctx

PAGES = Path(__file__).parent.parent / "pages"
GROUPS = ("", "Understand", "Measure", "Inspect", "Train")
NAME = "Lambda explorer"
KEYS = {"title", "group", "order", "about"}


@dataclass(frozen=True)
class PageInfo:
    """What a page says of itself: PAGE = {"title": ..., "group": ..., "order": ..., "about": ...}.

    group: one of GROUPS. order: within the group. about: a sentence for somebody who waits for the page.
    """

    path: Path
    title: str
    group: str
    order: int
    about: str


def tab_title(page: PageInfo) -> str:
    """What the browser calls the page, in a tab and in its history: "Scope · Lambda explorer"."""
    return f"{page.title} · {NAME}" if page.group else NAME


def asked_from() -> str | None:
    """The page that the browser shows as it asks for one, as `shown_at` has it; None where it does not say.

    `st.context` would tell the page that it asks for.
    """
    context = get_script_run_ctx(suppress_warning=True)
    return shown_at(context.context_info.url) if context and context.context_info else None


def shown_at(url: str) -> str:
    """The page at an address, as `st.Page.url_path` has it: empty for home, below a prefix of a proxy too."""
    last = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    return last if last in {page.path.stem for page in find() if page.group} else ""


def find(folder: Path = PAGES) -> list[PageInfo]:
    """Every page, in the order of the menu. A file without PAGE, or with a group that is not there, is an error."""
    pages = [_read(path, path.stat().st_mtime_ns) for path in folder.glob("*.py")]
    return sorted(pages, key=lambda page: (GROUPS.index(page.group), page.order, page.title))


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> PageInfo:
    """The page in a file as it was at a time: every run of every session asks for all of them."""
    values = [
        ast.literal_eval(node.value)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PAGE"
    ]
    if len(values) != 1 or values[0].keys() != KEYS or values[0]["group"] not in GROUPS:
        raise ValueError(f"{path.name} needs one PAGE with {', '.join(sorted(KEYS))}, and a group of {GROUPS}")
    return PageInfo(path, **values[0])
