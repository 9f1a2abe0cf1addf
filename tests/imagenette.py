"""A miniature Imagenette: the real folder layout, a few coloured noise JPEGs a class."""

from pathlib import Path

import numpy as np
from PIL import Image

from lambda_core.data import IMAGENETTE_FOLDERS as WNIDS


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
