"""A folder of pictures for each class, as ImageNet is kept, read as a prediction reads them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from torchvision.datasets import ImageFolder

from lambda_core.pictures import FORMATS, READABLE, read_upright


def hidden(name: str) -> bool:
    """Whether systems and programs keep a file or folder of this name for themselves, beside what people put there."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


class Folders(ImageFolder):
    """ROOT/CLASS/... for each class, in the order of their names; hidden folders and files count for nothing.

    left_out: files that are no pictures by their names. Raises FileNotFoundError where there is no folder, or none but
    such files in one.
    """

    def __init__(self, root: str | Path) -> None:
        self.left_out: list[str] = []
        self.suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS}
        super().__init__(root, loader=read_upright, is_valid_file=self._is_picture, allow_empty=True)
        if empty := sorted(set(range(len(self.classes))) - set(self.targets)):
            raise FileNotFoundError(f"{Path(root, self.classes[empty[0]])} holds no {READABLE} file")

    def sort(self, key: Callable[[str], Any]) -> None:
        """Put the pictures into the order of a key of their files, in place of class after class."""
        self.samples.sort(key=lambda sample: key(sample[0]))
        self.imgs, self.targets = self.samples, [label for _, label in self.samples]

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """Names of the folders, and their labels."""
        classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir() and not hidden(entry.name))
        if not classes:
            raise FileNotFoundError(f"{directory} must hold a folder of pictures for each class, and holds no folder")
        return classes, {name: label for label, name in enumerate(classes)}

    def _is_picture(self, path: str) -> bool:
        if any(map(hidden, Path(path).relative_to(self.root).parts)):
            return False
        known = Path(path).suffix.lower() in self.suffixes
        if not known:
            self.left_out.append(path)
        return known
