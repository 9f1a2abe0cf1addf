"""Imports run one way: pages -> explorer -> lambda_core, and in lambda_core from the layers of the paper upwards."""

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lambda_core.cost import counter

ROOT = Path(__file__).parent.parent

# In lambda_core a module may import those before it, and itself.
ORDER = (
    "allocator", "replacing", "arguments", "meta", "positions", "functional", "tracing", "engines", "layers",
    "switching", "surgery", "footprint", "models", "pictures", "folders", "data", "checkpoints", "cost",
    "measuring", "step_time", "attribution", "tables", "training", "evaluation", "benchmark", "check", "predict",
)  # fmt: skip

CORE_DEPENDENCIES = {"numpy", "PIL", "safetensors", "torch", "torchvision", "tqdm"}
TRAINING_DEPENDENCIES = {"accelerate", "torchmetrics"}  # of the extra "train", for lambda_core.training alone
# Everything else is optional: imported inside the functions that need it, and only in these files.
OPTIONAL = {
    "captum": {"attribution/methods.py"},
    "triton": {"engines/fused_kernels.py"},
    "timm": {"benchmark/peers.py", "checkpoints/files.py", "checkpoints/from_timm.py"},
    "huggingface_hub": {"checkpoints/from_timm.py"},  # which timm brings
    "lambda_networks": {"benchmark/peers.py"},
    "sklearn": {"data.py"},
}

KERNELS = "fused_kernels.py"

# Files of the app that run in a process of their own, or outside any: those that say so, and the components' packing.
WITHOUT_STREAMLIT = [
    file for file in sorted((ROOT / "explorer").glob("**/*.py"))
    if file.name in ("pack.py", "bundle.py")
    or "no streamlit" in (ast.get_docstring(ast.parse(file.read_text())) or "").lower()
]  # fmt: skip


@dataclass(frozen=True)
class Import:
    """A module that a file imports; `deferred` if only inside a function, so that loading the file is not enough."""

    file: Path
    line: int
    module: str
    deferred: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


def _names(node: ast.Import | ast.ImportFrom, file: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        package = file.relative_to(ROOT).parts[:-1]
        base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
    # "from lambda_core import data" may name a module as well as a name in one
    return [f"{base}.{alias.name}" for alias in node.names]


def _walk(node: ast.AST, file: Path, deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from (Import(file, child.lineno, name, deferred) for name in _names(child, file))
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(child, file, deferred or inside)


def imports(folder: str, pattern: str = "**/*.py") -> list[Import]:
    """Every import of every file of a folder that fits the pattern."""
    files = sorted((ROOT / folder).glob(pattern))
    return [found for file in files for found in _walk(ast.parse(file.read_text()), file, deferred=False)]


def listed(wrong: list[Import]) -> str:
    return "\n".join(map(str, wrong))


def test_the_library_knows_nothing_of_the_app() -> None:
    wrong = [i for i in imports("lambda_core") if i.package in {"explorer", "pages", "streamlit"}]
    assert not wrong, listed(wrong)


def test_the_app_knows_nothing_of_its_pages() -> None:
    wrong = [i for i in imports("explorer") if i.package == "pages"]
    assert not wrong, listed(wrong)


def _reached(file: Path, seen: dict[Path, list[Import]]) -> dict[Path, list[Import]]:
    """What loading a file imports, and what those files of the app import in turn."""
    if file not in seen:
        seen[file] = [found for found in _walk(ast.parse(file.read_text()), file, deferred=False) if not found.deferred]
        for found in seen[file]:
            parts = found.module.split(".")
            for place in (ROOT.joinpath(*parts), ROOT.joinpath(*parts[:-1])):
                if parts[0] == "explorer" and (inner := place.with_suffix(".py")).exists():
                    _reached(inner, seen)
    return seen


def test_most_files_that_need_no_streamlit_say_so() -> None:
    assert len(WITHOUT_STREAMLIT) >= 14


@pytest.mark.parametrize("file", WITHOUT_STREAMLIT, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_what_needs_no_streamlit_imports_none(file: Path) -> None:
    wrong = [i for found in _reached(file, {}).values() for i in found if i.package == "streamlit"]
    assert not wrong, listed(wrong)


def test_the_library_loads_with_its_own_dependencies() -> None:
    known = CORE_DEPENDENCIES | sys.stdlib_module_names | {"lambda_core"}
    wrong = [
        i
        for i in imports("lambda_core")
        if not i.deferred
        and i.package not in known
        and not (i.package in TRAINING_DEPENDENCIES and i.file.parent.name == "training")
        and i.file.name != KERNELS  # which is imported where a kernel is to run
    ]
    assert not wrong, listed(wrong)


def test_optional_packages_stay_where_they_belong() -> None:
    library = ROOT / "lambda_core"
    known = CORE_DEPENDENCIES | sys.stdlib_module_names | {"lambda_core"}
    wrong = [
        i
        for i in imports("lambda_core")
        if i.package not in known | TRAINING_DEPENDENCIES
        and i.file.relative_to(library).as_posix() not in OPTIONAL.get(i.package, ())
    ]
    assert not wrong, listed(wrong)


def _part(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py") if parts else "__init__"


def test_the_library_is_built_in_layers() -> None:
    library = ROOT / "lambda_core"
    wrong = []
    for found in imports("lambda_core"):
        if found.package != "lambda_core":
            continue
        importer = _part(found.file.relative_to(library).parts)
        imported = _part(tuple(found.module.split(".")[1:]))
        if importer in ("__init__", "__main__"):
            continue
        for part in (importer, imported):
            assert part in ORDER, f"{found}: say in ORDER where lambda_core.{part} belongs"
        if ORDER.index(imported) > ORDER.index(importer):
            wrong.append(found)
    assert not wrong, listed(wrong)


def test_modules_may_be_loaded_again() -> None:
    """As notebooks do: PyTorch takes the formula of an operator once a process."""
    importlib.reload(counter)
