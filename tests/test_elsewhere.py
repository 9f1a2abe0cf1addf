"""Other systems, as far as they can be shown from here: Windows, a Mac, a GPU beside no compiler."""

import ast
import errno
import fcntl
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from lambda_core import arguments, measuring
from lambda_core.engines import fused
from lambda_core.replacing import TRIES, replace_file
from lambda_core.training import classify, processes
from tests.tiny import TINY

ROOT = Path(__file__).parent.parent
FILES = [file for folder in ("lambda_core", "explorer", "pages") for file in sorted((ROOT / folder).rglob("*.py"))]
NOT_TEXT = {"Image", "os", "webbrowser"}  # whose open() is of something else


def unnamed(source: str) -> list[int]:
    """Lines that open a file of text in whatever encoding the system has."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        function, owner = call.func, ""
        if isinstance(function, ast.Attribute):
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
        name = getattr(function, "attr", getattr(function, "id", ""))
        if name not in ("open", "read_text", "write_text") or owner in NOT_TEXT:
            continue
        words = [
            word.value for word in (*call.args, *(k.value for k in call.keywords)) if isinstance(word, ast.Constant)
        ]
        binary = name == "open" and any(isinstance(word, str) and "b" in word and len(word) < 4 for word in words)
        if not binary and "encoding" not in {keyword.arg for keyword in call.keywords}:
            found.append(call.lineno)
    return found


def test_every_file_of_text_has_its_encoding():
    """On Windows the system's is another than UTF-8."""
    assert {str(file.relative_to(ROOT)): lines for file in FILES if (lines := unnamed(file.read_text("utf-8")))} == {}
    assert unnamed("open(a)\npath.open('w')\npath.read_text()\nopen(a, 'rb')\nopen(a, encoding='utf-8')") == [1, 2, 3]


def test_any_letter_goes_into_a_pipe(monkeypatch):
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, encoding="cp1252"))
    arguments.print_in_utf8()
    print("λ −", flush=True)
    assert pipe.getvalue().decode() == "λ −\n"


def test_a_file_is_flushed_by_who_may_write_it(tmp_path, monkeypatch):
    """Windows refuses to flush a file that is open for reading."""
    modes = []
    monkeypatch.setattr(os, "fsync", lambda file: modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE))
    replace_file(tmp_path / "file", lambda path: path.write_text("new"))
    assert modes == [os.O_RDWR]


@pytest.mark.parametrize("refused", [2, TRIES])
def test_a_file_that_is_being_read_is_replaced_a_little_later(refused, tmp_path, monkeypatch):
    file, tries, rename = tmp_path / "file", [], os.replace
    file.write_text("old")

    def busy(*paths):
        tries.append(paths)
        if len(tries) <= refused:
            raise PermissionError(errno.EACCES, "in use")
        rename(*paths)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr("time.sleep", lambda _: None)
    if refused < TRIES:
        replace_file(file, lambda path: path.write_text("new"))
    else:
        with pytest.raises(PermissionError):
            replace_file(file, lambda path: path.write_text("new"))
    assert file.read_text() == ("new" if refused < TRIES else "old") and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("there", "asked", "given"), [("mps", None, "cpu"), ("mps", "mps", "mps"), ("cuda", None, "cuda")]
)
def test_apples_gpu_trains_who_asks_for_it(there, asked, given, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device(there))
    monkeypatch.setattr(processes, "Accelerator", lambda cpu, **_: SimpleNamespace(device="cpu" if cpu else there))
    assert processes.accelerator_for(replace(TINY, precision="float32"), asked).device == given


def test_times_are_of_devices_that_can_be_waited_for(monkeypatch):
    monkeypatch.setattr(arguments, "usable_device", lambda text: text)
    assert arguments.timed_device("cuda:1") == "cuda:1"
    with pytest.raises(Exception, match="measured on cpu and cuda, not on 'mps'"):
        arguments.timed_device("mps")


def test_a_gpu_that_triton_cannot_reach_has_another_engine():
    def unreached():
        raise RuntimeError("Failed to find C compiler\nPlease specify one")

    fused._reach_the_gpu.cache_clear()
    kernels = ModuleType("kernels")
    kernels.reach_gpu = unreached
    with pytest.warns(UserWarning, match="here \\(Failed to find C compiler\\): the engine fused runs as toeplitz"):
        assert not fused._reach_the_gpu(kernels)
    assert not fused._reach_the_gpu(kernels), "and says so once"
    other = ModuleType("kernels")
    other.reach_gpu = lambda: None
    assert fused._reach_the_gpu(other)


def test_a_refusal_wakes_no_gpu(monkeypatch):
    """What CUDA maps would count against the memory that a measurement may take."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: pytest.fail("CUDA was started"))
    assert measuring.refusal(measuring.Point("flash attention", side=8), 2**30) is None


def test_compiling_without_a_compiler_is_a_sentence(tmp_path, monkeypatch):
    def train(*_, **__):
        raise RuntimeError(
            "InvalidCxxCompiler: No working C++ compiler found in cpp.cxx: (None, 'g++')\n\nSet TORCH..."
        )

    monkeypatch.setattr(classify, "train", train)
    with pytest.raises(SystemExit, match=r"leave --compile out, or .* \(InvalidCxxCompiler: .*\)$"):
        classify.main(["digits", "--out", str(tmp_path)])


def test_another_word_of_the_compiler_stays_what_it_is(tmp_path, monkeypatch):
    def train(*_, **__):
        raise RuntimeError("overwritten by a later run: call torch.compiler.cudagraph_mark_step_begin()")

    monkeypatch.setattr(classify, "train", train)
    with pytest.raises(RuntimeError, match="cudagraph_mark_step_begin"):
        classify.main(["digits", "--out", str(tmp_path)])


def test_training_names_the_packages_that_it_misses():
    program = "import sys; sys.modules['accelerate'] = None; import lambda_core.training.classify"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode and ended.stderr.strip().endswith("pip install accelerate torchmetrics")
