"""Weights are written whole or not at all, what could not be read back is refused, and where others put theirs."""

import datetime
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lambda_core import build, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import CheckpointRefused, to_timm

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
        ({"card": {"day": datetime.date(2020, 1, 1)}}, "card is written as JSON, which has no place for .*date"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(tmp_path: Path, changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("{", r"\{").replace("}", r"\}").replace("...", r"\.\.\.")):
        save_checkpoint(
            tmp_path / "net.safetensors", build("lambda_resnet_micro", num_classes=2),
            **{"architecture": ARCHITECTURE, **changes},
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_a_disk_that_refuses_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    model = build("lambda_resnet_micro", num_classes=2)
    save_checkpoint(file, model, architecture=ARCHITECTURE, classes=["a", "b"])
    before = file.read_bytes()
    run = subprocess.run([sys.executable, "-c", FULL, str(file)], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("refused:")
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]
    assert load_checkpoint(file).classes == ("a", "b")


def test_weights_beside_the_name_of_their_network_are_found(tmp_path: Path) -> None:
    """As some training scripts leave them; the optimizer's numbers are no weights."""
    model = build("lambda_resnet26t", num_classes=2).eval()
    optimizer = torch.optim.AdamW(model.parameters())
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    file = tmp_path / "theirs.pt"
    torch.save({"model": "lambda_resnet26t", "net": to_timm(model), "optimizer": optimizer.state_dict()}, file)
    found = load_checkpoint(file).model
    assert torch.equal(found.stages[0][0].reduce.weight, model.stages[0][0].reduce.weight)


def test_weights_of_two_networks_are_refused_by_name(tmp_path: Path) -> None:
    state = build("lambda_resnet_micro", num_classes=2).state_dict()
    torch.save({"student": state, "teacher": state, "epoch": 3}, tmp_path / "two.pt")
    with pytest.raises(CheckpointRefused, match=r"weights of 2 networks \(student, teacher\): save those of one"):
        load_checkpoint(tmp_path / "two.pt")
