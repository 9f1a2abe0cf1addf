"""Pictures of any mode as the 8-bit RGB that a network takes."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")  # others, as EPS, are opened by programs outside
READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF, PPM or AVIF"


def as_rgb(image: Image.Image) -> Image.Image:
    """Deep greys brought to 8 bit, transparency laid on white; the rest as Pillow converts it."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        return paper
    return image.convert("RGB")


def read_upright(path: str | Path) -> Image.Image:
    """The picture in a file of FORMATS as `as_rgb` gives it, turned the way its camera says; of several, the first.

    Raises what Pillow raises.
    """
    with Image.open(path, formats=FORMATS) as image:
        return as_rgb(ImageOps.exif_transpose(image))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Greys of 16 or 32 bit, or floats, as 0..255.

    16-bit files use their full range. The others say nothing of theirs: 0..1 (floats), 0..255 and 0..65,535 are taken
    as such, and anything beyond is stretched from its least to its greatest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    least, greatest = float(values.min()), float(values.max())
    ceilings = [65535.0] if image.mode.startswith("I;16") else [1.0] * (image.mode == "F") + [255.0, 65535.0]
    ceiling = next((c for c in ceilings if least >= 0 and greatest <= c), None)
    if ceiling is None:
        values, ceiling = values - least, greatest - least or 1.0
    return Image.fromarray(np.rint(values * (255 / ceiling)).astype(np.uint8))
