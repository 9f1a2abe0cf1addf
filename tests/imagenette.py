"""A miniature Imagenette: the real folder layout, a few coloured noise JPEGs a class."""

from pathlib import Path

import numpy as np
from PIL import Image

WNIDS = (
    "n01440764", "n02102040", "n02979186", "n03000684", "n03028079",
    "n03394916", "n03417042", "n03425413", "n03445777", "n03888257",
)  # fmt: skip


def make(root: Path, train: int = 4, val: int = 2) -> Path:
    """Write `train` and `val` images a class under root/imagenette2-160 and return root."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for label, wnid in enumerate(WNIDS):
            folder = root / "imagenette2-160" / split / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                colour = np.array([label * 25, 255 - label * 25, label % 3 * 100])
                pixels = np.clip(colour + rng.normal(0, 30, (48, 40, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{wnid}_{i}.JPEG")
    return root
