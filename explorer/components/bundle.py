"""Joins the ES modules of a folder into one module: what Streamlit takes as a component's `js`, without a build."""

import re
from pathlib import Path

_IMPORT = re.compile(
    r'^import\s*\{([^}]*)\}\s*from\s*["\'](\./[\w-]+\.js|\.\./\w+/[\w-]+\.js)["\'];?[ \t]*\n', re.MULTILINE
)
_ANY_IMPORT = re.compile(r"^import\b.*$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)(?=(?:async |const |let |function |class ))", re.MULTILINE)
_NAME = re.compile(r"^(?:export )?(?:default )?(?:async )?(?:function\*?|class) (\w+)", re.MULTILINE)
_LIST = re.compile(r"^(?:export )?(?:const|let|var) (.+)$", re.MULTILINE)
_NESTED = re.compile(r"\([^()]*\)|\{[^{}]*\}|\[[^\[\]]*\]|\"[^\"]*\"|'[^']*'|`[^`]*`")


class BundleError(ValueError):
    """The modules cannot be joined; the message names the file and the reason."""


def bundle(folder: Path, entry: str = "main.js") -> str:
    """The source of `entry` and of everything it imports, dependencies first, as one module.

    Imports must be `import { names } from "./file.js";`, or from "../component/file.js" for a module of a component
    beside this one, without renaming, at the start of a line; top-level names must be unique over all files. Only the
    entry may have a default export, and it alone stays exported.
    """
    folder = folder.resolve()
    order: list[str] = []
    sources: dict[str, str] = {}

    def visit(file: Path, path: tuple[str, ...]) -> None:
        name = file.name if file.parent == folder else f"{file.parent.name}/{file.name}"
        if name in path:
            raise BundleError(f"circular import: {' -> '.join((*path, name))}")
        if name in order:
            return
        if not file.is_file():
            raise BundleError(f"{path[-1] if path else folder}: no module {name}")
        text = file.read_text(encoding="utf-8")
        for names, wanted in _IMPORT.findall(text):
            if re.search(r"\bas\b", names):
                raise BundleError(f"{name}: `import {{ a as b }}` from {wanted} cannot be joined, import plain names")
            visit((file.parent / wanted).resolve(), (*path, name))
        sources[name] = _IMPORT.sub("", text)
        if left := _ANY_IMPORT.search(sources[name]):
            raise BundleError(f"{name}: only named relative imports can be joined, not `{left.group()}`")
        order.append(name)

    visit(folder / entry, ())
    owner: dict[str, str] = {}
    for name in order:
        if name != entry and "export default" in sources[name]:
            raise BundleError(f"{name}: only the entry {entry} may have a default export")
        for symbol in _top_level_names(sources[name]):
            if symbol in owner:
                raise BundleError(f"top-level name `{symbol}` is in both {owner[symbol]} and {name}")
            owner[symbol] = name
    return "\n".join(f"// {name}\n{_EXPORT.sub('', sources[name])}" for name in order)


def _top_level_names(text: str) -> list[str]:
    """Functions, classes, and every name of `const a = 1, b = 2;`."""
    names = _NAME.findall(text)
    for line in _LIST.findall(text):
        while (flat := _NESTED.sub("", line)) != line:
            line = flat
        names += re.findall(r"(?:^|, )(\w+) =(?![=>])", line)
    return names
