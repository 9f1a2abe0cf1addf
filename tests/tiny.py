"""A network that trains within a second, and what a run of it left behind."""

import csv

import torch
from safetensors.torch import load_file

from lambda_core.training.config import Recipe

TINY = Recipe(
    model="resnet26",
    overrides={
        "depths": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "stem": ((3, 8, 2),), "pool": False,
        "num_classes": 10, "stages": "CCLL", "layer": {"scope": 3, "dim_k": 4, "heads": 2},
    },
    size=32, sizes=((0, 24), (2, 32)), epochs=3, batch=8, precision="float32",
)  # fmt: skip


def weights(path):
    return torch.load(path / "state.pt", weights_only=True)["average"]


def losses(path):
    return [row["train_loss"] for row in csv.DictReader((path / "log.csv").read_text().splitlines())]


def log(path):
    """All of log.csv but the time that it took."""
    rows = csv.DictReader((path / "log.csv").read_text().splitlines())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def equal(one, two):
    """Whether two runs ended alike: the log with its figures, the state, and the weights that they wrote."""
    pairs = (weights(one), weights(two)), [load_file(run / "last.safetensors") for run in (one, two)]
    return log(one) == log(two) and all(
        mine.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in mine.items())
        for mine, theirs in pairs
    )
