"""Pictures on their way in: the gallery, uploads and camera frames, and the crops that network and canvas take of them.

Everything a user sends is untrusted: `read_image` gives a small, upright RGB picture or raises `ImageRefused` with one
sentence that can be shown as it is. No streamlit.
"""

import hashlib
import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from io import BytesIO

from PIL import Image, ImageOps

from explorer import words
from lambda_core.data import square
from lambda_core.pictures import FORMATS, READABLE, as_rgb

MAX_BYTES = 30 * 2**20
MAX_PIXELS = 50_000_000
MAX_SIDE = 1536  # longer pictures are reduced once they are decoded: a session keeps up to three of them in memory
FILE = "picture.png"  # what a picture that a visitor brought is exported as
FEW, LONG = 16, 3  # pixels of a picture with little to see, and the ratio of its sides where much of it is cut off

CHOOSE = f"choose a {READABLE} image"

# How files begin that people take for pictures. HEIC names its brand after four bytes of length.
UNREADABLE = (
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*(<.*)?<svg", re.DOTALL), "an SVG drawing"),
    (re.compile(rb"....ftyp(hei[cmsx]|hev[cx]|mif1|msf1)", re.DOTALL), "an HEIC photograph"),
    (re.compile(rb"\x00\x00\x01\x00"), "an icon file"),
    (re.compile(rb"8BPS"), "a Photoshop document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive or an office document"),
    (re.compile(rb"\s*<(!DOCTYPE html|html)", re.IGNORECASE), "a web page"),
    (re.compile(rb"[\t\n\r -~]+\Z"), "a text file"),
)

# EXIF tag 274 says how the camera was held; the transposition brings the picture upright.
ORIENTATION_TAG = 274
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageRefused(ValueError):
    """A file cannot be used as a picture; the message, one sentence, says why and what would do."""


@dataclass(frozen=True)
class Picture:
    """An upright RGB picture. `note` says what was changed on the way in, `key` names the content of the file."""

    image: Image.Image = field(compare=False)  # the key stands for it, so that a picture can be hashed
    title: str
    note: str | None
    key: str


@dataclass(frozen=True)
class Photograph:
    """A photograph that scikit-image ships in its package, so that it needs no network. array: how to ask for it."""

    file: str
    array: str
    title: str
    credit: str


GALLERY = {
    "coffee": Photograph("coffee.png", "data.coffee()", "A cup of coffee", "Rachel Michetti, CC0"),
    "cat": Photograph("chelsea.png", "data.chelsea()", "Chelsea the cat", "Stefan van der Walt, CC0"),
    "astronaut": Photograph("astronaut.png", "data.astronaut()", "Eileen Collins, astronaut", "NASA, public domain"),
    "rocket": Photograph("rocket.jpg", "data.rocket()", "Falcon 9 before launch", "SpaceX, public domain"),
    "motorcycle": Photograph(
        "motorcycle_left.png", "data.stereo_motorcycle()[0]", "A motorcycle in a workshop",
        "Scharstein et al., Middlebury stereo data set 2014",
    ),
    "photographer": Photograph("camera.png", "data.camera()", "A photographer", "Lav Varshney, CC0"),
}  # fmt: skip


@lru_cache(maxsize=len(GALLERY))
def gallery_picture(name: str) -> Picture:
    """A photograph of the gallery by name; KeyError for a name that GALLERY has not."""
    photograph = GALLERY[name]
    picture = read_image((resources.files("skimage") / "data" / photograph.file).read_bytes())
    return Picture(picture.image, photograph.title, None, picture.key)


def expression(name: str) -> str:
    """Python that gives this picture as a PIL image, after the imports of `exports.libraries` and `exports.readers`.

    A picture that a visitor brought is read from FILE, which is exported beside the program: as it is shown, also where
    it came from a camera or was reduced, and there is no other file of it.
    """
    if name in GALLERY:
        return f"Image.fromarray({GALLERY[name].array})"
    return f'read_upright("{FILE}")'


def read_image(data: bytes, *, name: str = "image") -> Picture:
    """Decode an uploaded file: its first frame, upright, on white, in RGB, at most MAX_SIDE on its longer side.

    name: the file's name, from which the title is made; letters, digits and a few signs of it are kept. Raises
    ImageRefused for everything that is no picture of FORMATS, is damaged, or is too large; the size is taken from the
    header, so nothing large is ever decoded.
    """
    if not data:
        raise ImageRefused(f"This file is empty; {CHOOSE}.")
    if len(data) > MAX_BYTES:
        megabytes = math.ceil(len(data) / 2**20)
        raise ImageRefused(f"This file has {megabytes} MB; choose an image of at most {MAX_BYTES // 2**20} MB.")
    image = _open(data)
    kind, notes = image.format, []
    try:
        if kind != "MPO" and getattr(image, "is_animated", False):  # an MPO is a photograph with its previews
            notes.append("The file holds several frames; this is the first.")
        image.load()
        image, turned = _upright(image)
        if turned:
            notes.append("Turned upright, as the camera noted.")
        image = as_rgb(image)
    except Exception as error:  # decoders raise what they like on damaged data
        raise ImageRefused(
            f"This {'JPEG' if kind == 'MPO' else kind} file is damaged or incomplete; "
            "save or export it again, or choose another."
        ) from error
    short, long = sorted(image.size)
    if short < FEW:
        notes.append(f"It has {image.width:,} × {image.height:,} pixels, so it is enlarged: there is little to see.")
    if long > LONG * short:
        notes.append("The network sees the square in its middle.")
    if max(image.size) > MAX_SIDE:
        notes.append(f"Reduced from {image.width:,} × {image.height:,} pixels.")
        image = _reduced(image)
    image.info.clear()  # what the file said of orientation and transparency no longer holds
    key = hashlib.blake2b(data, digest_size=12).hexdigest()
    return Picture(image, _title(name), " ".join(notes) or None, key)


def jpeg_bytes(image: Image.Image, side: int = 512, crop: float = 1.0) -> bytes:
    """The same crop as a JPEG of side × side pixels, for the canvas."""
    buffer = BytesIO()
    square(image, side, crop).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def enlarged(image: Image.Image, least: int) -> Image.Image:
    """A small picture with its pixels as squares that no browser has to blur, at least `least` pixels wide."""
    return ImageOps.scale(image, math.ceil(least / image.width), Image.Resampling.NEAREST)


def png_bytes(image: Image.Image) -> bytes:
    """The whole picture, pixel by pixel, for a program that reads it again."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    """Read the header. Decoding waits until the size is known to be bearable."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRefused(_too_large("far more than that")) from error
    except Exception as error:  # parsers of headers raise what they like
        kind = next((kind for pattern, kind in UNREADABLE if pattern.match(data[:1024])), None)
        said = f"This is {kind}" if kind else "This is no image that can be read, or its beginning is damaged"
        raise ImageRefused(f"{said}; {CHOOSE}.") from error
    if image.width * image.height > MAX_PIXELS:
        raise ImageRefused(_too_large(f"{image.width:,} × {image.height:,}"))
    return image


def _too_large(found: str) -> str:
    return f"This picture is too large: at most {MAX_PIXELS // 10**6} million pixels can be shown, and it has {found}."


def _upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """Turn the picture as its EXIF data says, if they can be read at all."""
    try:
        transposition = UPRIGHT.get(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF data are no reason to refuse the picture
        return image, False
    return (image, False) if transposition is None else (image.transpose(transposition), True)


def _reduced(image: Image.Image) -> Image.Image:
    """The picture with its longer side at MAX_SIDE."""
    scale = MAX_SIDE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _title(name: str) -> str:
    """A file's name without folder and ending."""
    stem = re.split(r"[/\\]", name)[-1]
    return words.plain(re.sub(r"\.\w{1,5}$", "", stem)) or "image"
