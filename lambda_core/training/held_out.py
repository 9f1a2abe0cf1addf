"""The pictures that a trained network is measured on: those that its training held out."""

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lambda_core import data
from lambda_core.checkpoints import Checkpoint, load_checkpoint
from lambda_core.positions import is_count


def opened(path_or_name: str | Path, device: torch.device | str | None = None) -> Checkpoint:
    """A checkpoint as `load_checkpoint` gives it; the card of a run's state.pt has its recipe, as its weights have."""
    found, file = load_checkpoint(path_or_name, device), Path(path_or_name)
    if "recipe" in found.card or not file.is_file() or not zipfile.is_zipfile(file):
        return found
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError):  # of another project: no recipe of ours
        return found
    recipe = state.get("recipe") if isinstance(state, dict) else None
    return replace(found, card={**found.card, "recipe": recipe}) if isinstance(recipe, dict) else found


def _recipe(card: Mapping[str, Any]) -> Mapping[str, Any]:
    recipe = card.get("recipe")
    return recipe if isinstance(recipe, Mapping) else {}


def data_of(card: Mapping[str, Any]) -> str | None:
    """The name in DATASETS of what a card says that its network was trained on; None for one that is not known here.

    A card that says nothing is taken for one of Imagenette.
    """
    name = _recipe(card).get("data", "imagenette")
    return name if isinstance(name, str) and name in data.DATASETS else None


def held_out(checkpoint: Checkpoint, folder: str | Path | None = None, dataset: str | None = None) -> data.Repeatable:
    """The validation pictures of a network, (uint8 (3, S, S), label) pairs at the size on its card.

    dataset: a name in DATASETS; else the one that the card names, else Imagenette. A card may name a share of its set.
    Raises DataMissing where they are not there, and ValueError where the network has other classes.
    """
    kind = data.DATASETS[dataset or data_of(checkpoint.card) or "imagenette"]
    loaded = kind.load("val", folder)
    if tuple(kind.class_names(loaded)) != tuple(checkpoint.classes):
        raise ValueError(f"this network tells other classes apart than those of {kind.title}")
    count = 0 if dataset else _recipe(checkpoint.card).get("held_out", 0)
    pictures = data.some(loaded, count if is_count(count) else 0)
    told = checkpoint.preparation()
    return data.Repeatable(pictures, data.eval_transform(int(told["size"]), **data.framing(told)))
