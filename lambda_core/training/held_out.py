"""The pictures that a trained network is measured on: those that its training held out."""

from pathlib import Path

from lambda_core import data
from lambda_core.checkpoints import Checkpoint


def held_out(checkpoint: Checkpoint, folder: str | Path | None = None, dataset: str | None = None) -> data.Repeatable:
    """The validation pictures of a network, (uint8 (3, S, S), label) pairs at the size on its card.

    dataset: a name in DATASETS; else the one that the card names, else Imagenette. A card may name a share of its set.
    Raises DataMissing where they are not there, and ValueError where the network has other classes.
    """
    recipe = checkpoint.card.get("recipe", {})
    name = dataset or recipe.get("data", "imagenette")
    kind = data.DATASETS[name] if name in data.DATASETS else data.DATASETS["imagenette"]
    loaded = kind.load("val", folder)
    if tuple(kind.class_names(loaded)) != tuple(checkpoint.classes):
        raise ValueError(f"this network tells other classes apart than those of {kind.title}")
    pictures = data.some(loaded, 0 if dataset else recipe.get("held_out", 0))
    told = checkpoint.preparation()
    return data.Repeatable(pictures, data.eval_transform(int(told["size"]), **data.framing(told)))
