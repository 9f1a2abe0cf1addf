"""A network that trains within a second, and what a run of it left behind."""

import csv

import torch

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


def equal(one, two):
    mine, theirs = weights(one), weights(two)
    return losses(one) == losses(two) and all(torch.equal(value, theirs[name]) for name, value in mine.items())
