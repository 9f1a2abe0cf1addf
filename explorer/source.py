"""Real source code, line by line, with the index letters of its tensors marked. No streamlit."""

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

LETTERS = "bhkvunm"
HUES = {"q": "query", "k": "key", "keys": "key", "v": "value", "table": "position", "embeddings": "position",
        "content": "content", "lambdas": "lambda"}  # fmt: skip
LONGEST = 3  # lines of a docstring or of a list of arguments that are shown whole

_EINSUM = re.compile(rf"[{LETTERS}]+(?:,[{LETTERS}]+)*->[{LETTERS}]+")
_SAID = (  # in words: scripts of a symbol, shapes, the indices of a sum
    re.compile(rf"(?<=[A-Za-zλ\u0304])_([{LETTERS}]+)\b"),
    re.compile(r"\(((?:[A-Za-z1], )+[A-Za-z1])\)"),
    re.compile(rf"\bover ((?:[{LETTERS}], )*[{LETTERS}])\b"),
)

Piece = tuple[str, str, str]  # text, its colour ("", "soft" or a tensor of the palette), its index letter or ""


@dataclass(frozen=True)
class Excerpt:
    """A function as it stands in its file. lines: (number in the file, its pieces); None where lines are left out."""

    file: str
    name: str
    lines: tuple[tuple[int, tuple[Piece, ...]] | None, ...]

    @property
    def text(self) -> str:
        return "\n".join("".join(piece[0] for piece in line[1]) for line in self.lines if line)


@lru_cache(maxsize=32)
def excerpt(function: Callable) -> Excerpt:
    """The source of a function, long lists of arguments and long docstrings cut to their first line."""
    lines, first = inspect.getsourcelines(function)
    text = "".join(lines)
    (tree,) = ast.parse(text).body
    assert isinstance(tree, ast.FunctionDef)
    marks = dict(_marks(text, tree))
    shown: list[tuple[int, tuple[Piece, ...]] | None] = []
    left_out = _left_out(tree)
    for number, line in enumerate(text.splitlines()):
        if number + 1 not in left_out:
            shown.append((first + number, _pieces(line, number + 1, marks)))
        elif shown and shown[-1] is not None:
            shown.append(None)
    return Excerpt(function.__module__.replace(".", "/") + ".py", function.__name__, tuple(shown))


def _left_out(tree: ast.FunctionDef) -> set[int]:
    """The lines of arguments and docstring below their first, where they are many."""
    inner = tree.body[0]
    spans = [(tree.lineno, inner.lineno - 1)]
    if ast.get_docstring(tree) is not None:
        spans.append((inner.lineno, inner.end_lineno or inner.lineno))
    return {line for start, end in spans if end - start >= LONGEST for line in range(start + 1, end + 1)}


def _axes(tree: ast.FunctionDef) -> set[str]:
    """Names of sizes: single letters that the function unpacks from a shape."""
    stored = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and not isinstance(node.value, ast.Tuple)
        for name in node.targets[0].elts
        if isinstance(name, ast.Name)
    }
    return stored & set(LETTERS)


def _marks(text: str, tree: ast.FunctionDef) -> Iterator[tuple[tuple[int, int], tuple[str, str]]]:
    """((line, column), (colour, letter)) of each character that is more than plain code."""
    axes = _axes(tree)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            letter = token.string if token.string in axes else ""
            colour = "" if letter else HUES.get(token.string, "")
            yield from _at(token, range(len(token.string)), lambda _, c=colour, a=letter: (c, a))
        elif token.type in (tokenize.STRING, tokenize.COMMENT):
            is_einsum = token.type == tokenize.STRING and _EINSUM.fullmatch(token.string.strip("\"'"))
            lit = set(range(len(token.string))) if is_einsum else _said(token.string)
            colour = "" if is_einsum else "soft"
            yield from _at(
                token, range(len(token.string)),
                lambda i, s=token.string, c=colour, on=lit: (c, s[i] if i in on and s[i] in LETTERS else ""),
            )  # fmt: skip


def _said(words: str) -> set[int]:
    """Where in a comment or docstring letters stand for indices."""
    return {i for pattern in _SAID for found in pattern.finditer(words) for i in range(*found.span(1))}


def _at(token: tokenize.TokenInfo, places: range, mark: Callable) -> Iterator[tuple[tuple[int, int], tuple[str, str]]]:
    """A mark for each character of a token, which may run over several lines."""
    line, column = token.start
    for i in places:
        if token.string[i] == "\n":
            line, column = line + 1, 0
            continue
        yield (line, column), mark(i)
        column += 1


def _pieces(line: str, number: int, marks: dict[tuple[int, int], tuple[str, str]]) -> tuple[Piece, ...]:
    """A line as runs of one colour; each index letter is a run of its own."""
    pieces: list[Piece] = []
    for column, character in enumerate(line):
        colour, letter = marks.get((number, column), ("", ""))
        if pieces and not letter and pieces[-1][1:] == (colour, ""):
            pieces[-1] = (pieces[-1][0] + character, colour, "")
        else:
            pieces.append((character, colour, letter))
    return tuple(pieces)
