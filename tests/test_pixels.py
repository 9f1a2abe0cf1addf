"""A folder of pictures is read for training and measuring as it is for a prediction."""

import os
import pickle
import shutil
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from PIL import Image

from lambda_core import data
from lambda_core.predict import read_picture
from lambda_core.training import classify
from tests import imagenette


def deep_grey():
    return Image.fromarray(np.linspace(0, 65535, 32 * 24).reshape(24, 32).astype(np.uint16))


def shares():
    return Image.fromarray(np.linspace(0, 1, 32 * 24).reshape(24, 32).astype(np.float32))


def transparent():
    image = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
    image.paste((200, 10, 10, 255), (0, 0, 8, 8))
    return image


def colours():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8))


@pytest.fixture
def kept(tmp_path):
    """A folder of one class whose pictures are of every kind; what they were written from, by name."""
    place = tmp_path / "val" / "a"
    place.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by the camera
    deep_grey().save(place / "deep.png")
    shares().save(place / "shares.tiff")
    transparent().save(place / "transparent.png")
    colours().save(place / "turned.jpg", exif=exif)
    colours().save(place / "plain.png")
    return tmp_path


def test_training_sees_what_a_prediction_sees(kept):
    source = data.imagefolder("val", kept)
    pictures = data.Repeatable(source, lambda image: image)
    for index, (file, _) in enumerate(source.samples):
        assert torch.equal(pictures[index][0], data.decode(read_picture(file))), file
    seen = {file.rpartition("/")[2]: pictures[index][0] for index, (file, _) in enumerate(source.samples)}
    assert seen["deep.png"].unique().numel() > 200 and seen["shares.tiff"].unique().numel() > 200
    assert seen["transparent.png"][:, -1, -1].tolist() == [255] * 3
    assert seen["turned.jpg"].shape == (3, 32, 24)
    assert torch.equal(seen["plain.png"], data.decode(colours()))


def test_a_damaged_picture_of_a_folder_is_named(kept):
    file = kept / "val" / "a" / "plain.png"
    file.write_bytes(file.read_bytes()[:200])
    pictures = data.Repeatable(data.imagefolder("val", kept), lambda image: image)
    with pytest.raises(data.DataBroken, match=r"plain\.png cannot be decoded"):
        [pictures[index] for index in range(len(pictures))]


def test_every_seed_that_a_recipe_may_have_draws(kept):
    source = data.imagefolder("val", kept)
    for seed in (0, 18_446_745, 2**32 - 1):
        one, two = (data.Repeatable(source, data.train_transform(16), seed=seed)[0][0] for _ in range(2))
        assert torch.equal(one, two)


def test_what_nobody_put_there_as_a_picture_counts_for_nothing(kept, capsys):
    """Hidden folders are no classes, hidden files and those in hidden folders no pictures; others are named."""
    val = kept / "val"
    for place in (val / ".git", val / "__MACOSX", val / "a" / ".ipynb_checkpoints"):
        place.mkdir()
        colours().save(place / "not.png")
    (val / "a" / "._plain.png").write_bytes(b"a resource fork")
    (val / "a" / "notes.txt").write_text("not a picture")
    source = data.imagefolder("val", kept)
    assert source.classes == ["a"] and len(source) == 5
    assert source.left_out == [str(val / "a" / "notes.txt")]
    assert classify._left_out(source).endswith("notes.txt is left out: by its name it is no picture")
    (val / "a" / "more.txt").write_text("not a picture either")
    assert classify._left_out(data.imagefolder("val", kept)).startswith("2 files are left out")
    (val / "a" / "more.txt").unlink()
    (val / "a" / "notes.txt").unlink()
    assert not classify._left_out(data.imagefolder("val", kept))


def test_every_format_that_is_read_counts_as_a_picture(kept):
    place = kept / "val" / "a"
    for number, suffix in enumerate(("gif", "avif", "webp", "bmp", "ppm", "JPEG", "jfif")):
        kind = {"JPEG": "JPEG", "jfif": "JPEG"}.get(suffix, suffix.upper())
        colours().save(place / f"{number}.{suffix}", kind)
    source = data.imagefolder("val", kept)
    assert len(source) == 12 and not source.left_out
    assert all(source[index][0].size in ((32, 24), (24, 32)) for index in range(12))


def test_a_folder_that_another_program_would_open_is_damaged_not_run(kept):
    colours().save(kept / "val" / "a" / "drawing.eps")
    (kept / "val" / "a" / "drawing.eps").rename(kept / "val" / "a" / "drawing.png")
    pictures = data.Repeatable(data.imagefolder("val", kept), lambda image: image)
    with pytest.raises(data.DataBroken, match=r"drawing\.png cannot be decoded"):
        list(map(pictures.__getitem__, range(len(pictures))))


@pytest.mark.parametrize(("empty", "said"), [("val/b", "b holds no JPEG"), ("val", "must hold a folder of pictures")])
def test_a_folder_without_pictures_is_named(tmp_path, empty, said):
    (tmp_path / empty).mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=said):
        data.imagefolder("val", tmp_path)


def test_a_folder_of_pictures_can_be_sent_to_a_process(kept):
    source = pickle.loads(pickle.dumps(data.imagefolder("val", kept)))
    assert len(source) == 5 and source[0][0].mode == "RGB"


def test_cifar10_is_read_from_png_files_too(tmp_path):
    for part in ("train", "test"):
        for name in data.CIFAR10_CLASSES:
            (tmp_path / "cifar10" / part / name).mkdir(parents=True)
            colours().save(tmp_path / "cifar10" / part / name / "0.png")
    found = data.cifar10("val", tmp_path)
    assert len(data.cifar10("val", tmp_path / "cifar10")) == len(found)
    assert [label for _, label in found] == list(range(10)) and found.samples[3][0].endswith("test/cat/0.png")
    for number, name in ((12, "cat"), (3, "truck"), (0, "ship")):
        colours().save(tmp_path / "cifar10" / "test" / name / f"{number}_{name}.png")
    for name in data.CIFAR10_CLASSES:
        (tmp_path / "cifar10" / "test" / name / "0.png").rename(tmp_path / "cifar10" / "test" / name / "20.png")
    found = data.cifar10("val", tmp_path)  # as they were numbered, not class after class
    assert found.targets[:3] == [8, 9, 3] and [label for _, label in found] == found.targets
    assert data.DATASETS["cifar10"].class_names(found) == data.CIFAR10_CLASSES
    (tmp_path / "cifar10" / "train" / "cat").rename(tmp_path / "cifar10" / "train" / "tiger")
    with pytest.raises(data.DataMissing, match="must hold the ten folders airplane, "):
        data.cifar10("train", tmp_path)
    with pytest.raises(data.DataNotFetched, match=r"or .*cifar10.train with a folder of PNG"):
        data.cifar10("train", tmp_path / "elsewhere")


def test_a_padded_crop_is_of_the_whole_picture_at_its_size():
    """As a run that begins with small pictures needs it: at no size is it a corner alone."""
    picture = torch.full((3, 48, 32), 200, dtype=torch.uint8)
    torch.manual_seed(0)
    crop = data.train_transform(16, pad=2)
    seen = torch.stack([crop(picture) for _ in range(64)])
    assert seen.shape == (64, 3, 16, 16)
    assert set(seen.unique().tolist()) == {0, 200}
    assert (seen[:, :, 2:-2, 2:-2] == 200).all()  # no more than the padding comes in from an edge
    assert (seen[:, 0, :, 0] == 0).any() and (seen[:, 0, :, -1] == 0).any()


def test_a_share_of_the_pictures_has_a_rectangle_erased():
    picture = torch.full((3, 32, 32), 200, dtype=torch.uint8)
    torch.manual_seed(0)
    transform = data.train_transform(32, scale=(1.0, 1.0), erase=0.5)
    grey = [int(255 * share) for share in data.IMAGENET_MEAN]
    erased = 0
    for _ in range(200):
        holes = (transform(picture) != 200).any(0)
        erased += bool(holes.any())
        rows, columns = holes.any(1).sum(), holes.any(0).sum()
        assert int(holes.sum()) == int(rows * columns)  # a rectangle
    assert 70 < erased < 130
    one = next(seen for seen in (transform(picture) for _ in range(50)) if (seen != 200).any())
    assert one.flatten(1).min(1).values.tolist() == grey


def test_what_a_picture_draws_depends_on_seed_epoch_and_index_alone(kept):
    source = data.imagefolder("val", kept)
    pictures = data.Repeatable(source, lambda image: torch.rand(3), seed=3)
    pictures.epoch = 2
    before = torch.random.get_rng_state()
    drawn = pictures[4][0]
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed((3 * 1_000_003 + 2) * 1_000_003 + 4)
    assert torch.equal(drawn, torch.rand(3))


def kept_pictures(cache, times=1):
    """Of several sizes, as photographs are."""
    drawn = np.random.default_rng(0)
    shapes = [(9, 7), (5, 5), (16, 11), (1, 3)]
    pictures = [Image.fromarray(drawn.integers(0, 256, (*shape, 3), np.uint8)) for shape in shapes * times]
    source = data._Pictures(pictures, [3, 1, 2, 0] * times)
    return data.Repeatable(source, data.train_transform(6), seed=1, cache=cache)


def test_pictures_that_are_kept_are_those_that_are_read():
    read, kept = kept_pictures(False), kept_pictures(True)
    for epoch in (0, 1):
        read.epoch = kept.epoch = epoch
        for (one, label), (two, again) in zip((read[i] for i in range(4)), (kept[i] for i in range(4)), strict=True):
            assert torch.equal(one, two) and label == again


def test_processes_that_are_not_forked_share_all_pictures_by_a_few_files():
    """A tensor each would be an open file each, of which a process may have a thousand."""
    kept, before = kept_pictures(True, times=20), len(os.listdir("/proc/self/fd"))
    there = pickle.loads(ForkingPickler.dumps(kept))
    assert len(os.listdir("/proc/self/fd")) - before < 10
    assert torch.equal(there[2][0], kept[2][0])


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("val", "of the ten folders in val it lacks 10, n01440764 first"),
        (f"val/{imagenette.WNIDS[7]}", "in val it lacks 1, n03425413 first"),
    ],
)
def test_what_a_cut_download_left_is_not_taken_for_whole(tmp_path, lost, said, download):
    place = imagenette.make(tmp_path) / "imagenette2-160"
    shutil.rmtree(place / lost)
    with pytest.raises(data.DataMissing, match=rf"{said}; remove .*imagenette2-160 and fetch it again"):
        data.imagenette("val", tmp_path, download=download)
    assert len(data.imagenette("train", tmp_path, download=download)) == 40
