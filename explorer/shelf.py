"""The networks that ship, named for people and in order. Their weights are not read for it, only the files' headers."""

import json
import math
from functools import lru_cache
from pathlib import Path

from explorer.loading import HOME
from lambda_core.checkpoints import zoo
from lambda_core.checkpoints.from_timm import NETWORKS
from lambda_core.training.ablations import ABLATIONS

# What a list of them says first, so that those that belong together stand together and are found by typing.
TITLES = {
    HOME: f"Home: {HOME}",
    "lambda_resnet_small": "Large: lambda_resnet_small",
    "resnet_small": "Large: resnet_small, convolutions only",
    **{name: f"Small: {ablation.title}" for name, ablation in ABLATIONS.items()},
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # kept with the weights, but not learned by gradients


def labels() -> dict[str, str]:
    """The title of every network by name, and how large it is: "Small: lambda, content only · 0.39 M".

    The zoo, home first and what belongs together side by side; then timm's, which timm fetches.
    """
    place = {name: i for i, name in enumerate(TITLES)}
    there = sorted(zoo().items(), key=lambda item: (place.get(item[0], len(place)), item[0]))
    sizes = {name: parameters(path, path.stat().st_mtime) / 1e6 for name, path in there}
    return {
        **{name: f"{TITLES.get(name, name)} · {size:.2f} M" for name, size in sizes.items()},
        **{f"timm/{name}": f"timm: {name} · fetched online" for name in NETWORKS},
    }


def title(name: str) -> str:
    """A network by name, for people; one that is not of the zoo as it is called."""
    return TITLES.get(name, name) if name in zoo() else name


@lru_cache(maxsize=64)
def parameters(path: Path, changed: float) -> int:
    """How many numbers a network has learned, by the header of its file. changed: when the file was."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(
        math.prod(tensor["shape"])
        for key, tensor in header.items()
        if key != "__metadata__" and not key.endswith(BUFFERS)
    )
