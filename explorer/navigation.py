"""The pages, found by looking: a file in pages/ that says `PAGE = {...}` is a page."""

import ast
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).parent.parent / "pages"
GROUPS = ("", "Understand", "Measure", "Inspect", "Train")


@dataclass(frozen=True)
class PageInfo:
    """What a page says of itself: PAGE = {"title": ..., "group": one of GROUPS, "order": within the group}."""

    path: Path
    title: str
    group: str
    order: int


def find(folder: Path = PAGES) -> list[PageInfo]:
    """Every page, in the order of the menu. A file without PAGE, or with a group that is not there, is an error."""
    pages = []
    for path in folder.glob("*.py"):
        values = [
            ast.literal_eval(node.value)
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PAGE"
        ]
        if len(values) != 1 or values[0].get("group") not in GROUPS:
            raise ValueError(f"{path.name} needs one PAGE = {{'title', 'group', 'order'}} with a group of {GROUPS}")
        pages.append(PageInfo(path, **values[0]))
    return sorted(pages, key=lambda page: (GROUPS.index(page.group), page.order, page.title))
