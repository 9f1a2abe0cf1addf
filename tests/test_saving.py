"""Weights are written whole or not at all, and what could not be read back is refused before."""

import datetime
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lambda_core import build, load_checkpoint, save_checkpoint

ARCHITECTURE = {"name": "lambda_resnet_micro", "overrides": {"num_classes": 2}}
FULL = """
import resource, sys
from lambda_core import build, save_checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    save_checkpoint(sys.argv[1], build("lambda_resnet_micro", num_classes=2),
        architecture={"name": "lambda_resnet_micro", "overrides": {"num_classes": 2}})
except OSError as error:
    print("refused:", error.strerror)
"""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": {}}, "architecture must be {'name': ..., 'overrides': {...}}, not {}"),
        ({"architecture": "lambda_resnet_micro"}, "architecture must be"),
        ({"architecture": {"name": 3}}, "architecture must be"),
        ({"classes": "ab"}, "classes must be a list of names, not 'ab'"),
        ({"card": {"day": datetime.date(2020, 1, 1)}}, "JSON, which has no place for one of them: .*date"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("{", r"\{").replace("}", r"\}").replace("...", r"\.\.\.")):
        save_checkpoint(
            tmp_path / "net.safetensors", build("lambda_resnet_micro", num_classes=2),
            **{"architecture": ARCHITECTURE, **changes},
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of a file's size here")
def test_a_disk_that_refuses_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    model = build("lambda_resnet_micro", num_classes=2)
    save_checkpoint(file, model, architecture=ARCHITECTURE, classes=["a", "b"])
    before = file.read_bytes()
    run = subprocess.run([sys.executable, "-c", FULL, str(file)], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("refused:")
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]
    assert load_checkpoint(file).classes == ("a", "b")
