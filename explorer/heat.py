"""A map of sizes laid on a grey photograph, as a PNG: what the canvas does, for still pictures. No streamlit."""

import base64
import io

import numpy as np
from PIL import Image

from explorer.tiles import colour

GREY = {"light": (255.0, 0.36), "dark": (14.0, 0.34)}  # the paper of the photograph, and what is left of its contrast


def on_photo(photo: Image.Image, values: np.ndarray, hue: str, *, side: int = 192, scheme: str = "light") -> str:
    """values (H, W), from zero up, on the photo, full hue at the 98.5 % quantile: base64 PNG, side x side."""
    paper, contrast = GREY[scheme]
    grey = np.asarray(photo.convert("L").resize((side, side)), float)[..., None]
    grey = paper - (255 - grey) * contrast if scheme == "light" else paper + grey * contrast
    seen = values[values > 0]
    share = np.clip(values / (np.quantile(seen, 0.985) if seen.size else 1.0), 0, 1).astype(np.float32)
    weight = np.asarray(Image.fromarray(share).resize((side, side), Image.Resampling.BILINEAR), float)[..., None]
    if scheme == "light":  # multiplied with ink on white
        drawn = grey * (255 + weight * (colour(hue, scheme) - 255)) / 255
    else:  # screened with light on black
        drawn = 255 - (255 - grey) * (255 - weight * colour(hue, scheme)) / 255
    buffer = io.BytesIO()
    Image.fromarray(drawn.round().astype(np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
