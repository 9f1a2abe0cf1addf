"""Imports, one thread at a time.

Python cannot finish what two threads begin in one package, where one imports the package, which imports a part, and the
other that part, which imports the package: each waits for the other, until one is told so by _DeadlockError. A server
that has just started meets its first visitors in threads; whatever may be the first to import something of the library
does it under LOCK.
"""

import ast
import threading
from functools import lru_cache
from pathlib import Path

LOCK = threading.RLock()


@lru_cache
def imports(page: Path) -> None:
    """Run the import statements of a page under the lock: the page itself then finds all imported."""
    found: list[ast.stmt] = [
        node
        for node in ast.parse(page.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    with LOCK:
        exec(compile(ast.Module(found, []), page, "exec"), {})
