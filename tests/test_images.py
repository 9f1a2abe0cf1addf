"""Every kind of file that a visitor may send, made here, against what the explorer promises about it."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data as skimage_data

from explorer import images
from explorer.images import ImageRefused, read_image
from lambda_core import data
from lambda_core.data import prepare, square
from lambda_core.pictures import FORMATS

# Pillow warns about damaged metadata in files made to be damaged.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(width: int = 8, height: int = 6) -> Image.Image:
    """Red with a blue left upper quarter, so that turning shows."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (0, 0, width // 2, height // 2))
    return image


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth random picture, as photographs are."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def png_with_header(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and whose pixels are not there."""
    fields = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", fields), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def refusal(content: bytes, name: str = "image") -> str:
    with pytest.raises(ImageRefused) as caught:
        read_image(content, name=name)
    message = str(caught.value)
    assert message.endswith(".")
    assert message[0].isupper()
    assert "\n" not in message
    assert "<" not in message
    return message


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_is_read(kind: str) -> None:
    picture = read_image(encoded(corners(64, 48), kind), name=f"corners.{kind.lower()}")
    assert (picture.image.mode, picture.image.size) == ("RGB", (64, 48))
    assert picture.note is None
    assert picture.title == "corners"
    pixels = np.asarray(picture.image, dtype=int)
    assert np.abs(pixels[10, 10] - BLUE).max() < 40
    assert np.abs(pixels[40, 50] - RED).max() < 40


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn --><svg></svg>", "an SVG drawing"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "an HEIC photograph"),
        (b"<!doctype html><html></html>", "a web page"),
        (b"PK\x03\x04\x14\0", "a ZIP archive"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"a,b\n1,2\n", "a text file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a text file"),
        (bytes(range(256)), "no image that can be read"),
        (encoded(corners(), "ICO"), "an icon file"),
        (encoded(corners(), "PCX"), "no image that can be read"),
    ],
)
def test_other_files_are_refused_by_name(content: bytes, said: str) -> None:
    message = refusal(content)
    assert said in message
    assert "choose a JPEG, PNG" in message


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_file_is_refused(kind: str) -> None:
    content = encoded(noise(200, 160), kind)
    assert "damaged" in refusal(content[: len(content) // 2])


def test_a_bomb_is_refused_from_its_header() -> None:
    assert "50 million pixels" in refusal(png_with_header(30_000, 30_000))
    assert "9,000 × 9,000" in refusal(png_with_header(9_000, 9_000))
    assert "damaged" in refusal(png_with_header(7_000, 7_000))


def test_a_heavy_file_is_refused() -> None:
    assert "31 MB" in refusal(b"\xff\xd8" + bytes(31 * 2**20 - 2))


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in (GREEN, RED, BLUE)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        extra = {"lossless": True} if kind == "WEBP" else {}
        picture = read_image(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **extra))
        assert picture.image.getpixel((5, 5)) == GREEN, kind
        assert "first" in (picture.note or ""), kind


def test_a_photograph_with_previews_is_no_animation() -> None:
    content = encoded(noise(200, 160), "MPO", save_all=True, append_images=[corners(16, 12)])
    assert read_image(content).note is None
    assert "This JPEG file is damaged" in refusal(content[:2000])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_turned_photograph_stands_upright(kind: str, orientation: int) -> None:
    upright = corners(64, 48)
    undo = images.UPRIGHT.get(orientation)
    back = {
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
    }
    stored = upright if undo is None else upright.transpose(back.get(undo, undo))
    exif = Image.Exif()
    exif[images.ORIENTATION_TAG] = orientation
    picture = read_image(encoded(stored, kind, exif=exif))
    assert picture.image.size == (64, 48)
    assert np.abs(np.asarray(picture.image, dtype=int)[8, 8] - BLUE).max() < 40
    assert not picture.image.getexif()
    if kind != "TIFF":  # Pillow turns these itself
        assert (picture.note is not None) == (orientation > 1)


def test_damaged_exif_does_not_matter() -> None:
    content = encoded(corners(64, 48), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(20))
    assert read_image(content).image.size == (64, 48)


def test_cmyk() -> None:
    pixel = read_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")).image.getpixel((8, 8))
    assert isinstance(pixel, tuple)
    assert np.abs(np.subtract(pixel, RED)).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_range(kind: str) -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    picture = read_image(encoded(Image.fromarray(ramp), kind))
    grey = np.asarray(picture.image)
    assert (grey == np.arange(256).reshape(16, 16, 1)).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 255]], np.int32), (0, 255)),
        (np.array([[0, 65535]], np.int32), (0, 255)),
        (np.array([[0, 257]], np.int32), (0, 1)),
        (np.array([[-1000, 1000]], np.int32), (0, 255)),
        (np.array([[70000, 70000]], np.int32), (0, 0)),
        (np.array([[0.0, 1.0]], np.float32), (0, 255)),
        (np.array([[0.0, 255.0]], np.float32), (0, 255)),
        (np.array([[np.nan, np.inf]], np.float32), (0, 0)),
    ],
)
def test_deep_greys(values: np.ndarray, expected: tuple[int, int]) -> None:
    picture = read_image(encoded(Image.fromarray(values), "TIFF"))
    assert tuple(np.asarray(picture.image)[0, :, 0]) == expected


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half = Image.new("LA", (4, 4), (0, 128))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([*RED, *BLUE])
    assert read_image(encoded(clear)).image.getpixel((1, 1)) == WHITE
    assert read_image(encoded(half)).image.getpixel((1, 1)) == (127, 127, 127)
    assert read_image(encoded(palette)).image.getpixel((1, 1)) == BLUE
    for kind in ("PNG", "GIF"):
        assert read_image(encoded(palette, kind, transparency=1)).image.getpixel((1, 1)) == WHITE
    assert read_image(encoded(Image.new("RGB", (4, 4), RED), transparency=RED)).image.getpixel((1, 1)) == WHITE


def test_one_bit() -> None:
    assert read_image(encoded(Image.new("1", (9, 9), 1))).image.getpixel((4, 4)) == WHITE


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (5000, 1), (2, 1)])
def test_tiny_and_thin_pictures_are_allowed(size: tuple[int, int]) -> None:
    picture = read_image(encoded(Image.new("RGB", size, GREEN)))
    crop = square(picture.image, 96)
    assert crop.size == (96, 96)
    assert crop.getcolors() == [(96 * 96, GREEN)]


def test_a_large_picture_is_reduced() -> None:
    picture = read_image(encoded(Image.new("RGB", (8192, 60), GREEN)))
    assert picture.image.size == (1536, 11)
    assert picture.note == "The network sees the square in its middle. Reduced from 8,192 × 60 pixels."


def test_a_photograph_of_a_telephone_takes_little_memory_and_loses_nothing_that_is_shown() -> None:
    taken = noise(504, 378).resize((4032, 3024), Image.Resampling.BICUBIC)
    picture = read_image(encoded(taken, "JPEG", quality=95))
    assert picture.image.size == (1536, 1152)
    assert picture.image.width * picture.image.height * 3 < 6 * 2**20
    for side in (64, 256, 512):  # what networks and canvases take of it
        difference = np.abs(np.subtract(square(picture.image, side), square(taken, side), dtype=float))
        assert difference.mean() < 1.5, side


@pytest.mark.parametrize("size", [(160, 160), (213, 160), (160, 241), (600, 400), (300, 451), (100, 90)])
@pytest.mark.parametrize("side", [96, 128, 224])
def test_the_square_is_what_evaluation_sees(size: tuple[int, int], side: int) -> None:
    image = noise(*size)
    expected = data.eval_transform(side)(data.decode(image)).int()
    difference = (data.decode(square(image, side)).int() - expected).abs()
    assert difference.max() <= 2
    assert difference.float().mean() < 0.2


def test_the_tensor_is_normalised_as_the_checkpoint_says() -> None:
    preprocess = {"size": 32, "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.2]}
    tensor = prepare(Image.new("RGB", (50, 40), (255, 0, 51)), preprocess)
    assert tensor.shape == (1, 3, 32, 32)
    assert tensor.dtype == torch.float32
    torch.testing.assert_close(tensor[0, :, 0, 0], torch.tensor([1.0, -1.6, -0.5]))


def test_the_canvas_photograph_is_a_square_jpeg() -> None:
    photo = Image.open(BytesIO(images.jpeg_bytes(noise(300, 200))))
    assert (photo.format, photo.size) == ("JPEG", (512, 512))


def test_the_key_is_of_the_content() -> None:
    one, other = encoded(corners()), encoded(corners(10, 10))
    assert read_image(one, name="a").key == read_image(one, name="b").key != read_image(other).key
    assert len({read_image(one), read_image(one), read_image(other)}) == 2


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("holiday_at the-sea.2024.JPG", "holiday at the-sea.2024"),
        ("C:\\pictures\\cat.png", "cat"),
        ("../../etc/passwd", "passwd"),
        ("<img src=x onerror=alert(1)>.png", "img src x onerror alert(1)"),
        ("**$x$** [link](javascript:1) `code`.png", "x link (javascript 1) code"),
        ("写真.png", "写真"),
        ("<>.png", "image"),
        ("", "image"),
    ],
)
def test_titles_hold_no_markup(name: str, title: str) -> None:
    assert read_image(encoded(corners()), name=name).title == title
    refusal(b"%PDF", name=name)


@pytest.mark.parametrize("name", images.GALLERY)
def test_the_gallery_needs_no_network(name: str) -> None:
    picture = images.gallery_picture(name)
    assert min(picture.image.size) >= 300
    assert picture.title == images.GALLERY[name].title
    assert images.GALLERY[name].credit
    again = eval(images.expression(name), {"Image": Image, "data": skimage_data})
    assert (np.asarray(again.convert("RGB")) == np.asarray(picture.image)).all()


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"]),
)
def test_random_bytes_never_crash(content: bytes, start: bytes) -> None:
    with suppress(ImageRefused):
        assert read_image(start + content).image.mode == "RGB"


SAMPLES = {kind: encoded(noise(40, 30), kind) for kind in FORMATS}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6))
def test_damaged_files_never_crash(kind: str, damage: list[tuple[float, int]]) -> None:
    content = bytearray(SAMPLES[kind])
    for place, value in damage:
        content[int(place * (len(content) - 1))] = value
    with suppress(ImageRefused):
        assert read_image(bytes(content)).image.mode == "RGB"


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    st.integers(0, 2**32 - 1),
)
def test_png_of_any_size_and_mode(width: int, height: int, mode: str, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 65536, (height, width), dtype=np.uint16)
    image = Image.fromarray(grey) if mode == "I;16" else Image.fromarray((grey >> 8).astype(np.uint8)).convert(mode)
    picture = read_image(encoded(image))
    assert (picture.image.mode, picture.image.size) == ("RGB", (width, height))
    if mode not in ("1", "P"):
        assert (np.abs(np.asarray(picture.image).astype(int)[..., 0] - grey / 257) <= 1.01).all()
    assert square(picture.image, 24).size == (24, 24)


@pytest.mark.parametrize(
    ("size", "note"),
    [
        ((1, 1), "It has 1 × 1 pixels, so it is enlarged: there is little to see."),
        ((1500, 20), "The network sees the square in its middle."),
        ((16, 48), None),
    ],
)
def test_what_will_look_odd_is_said(size, note):
    assert read_image(encoded(Image.new("RGB", size, GREEN))).note == note
