"""The predict command: its figures are the network's own, and what cannot be used ends in a sentence."""

import errno
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lambda_core import build, evaluation, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import Checkpoint, CheckpointRefused
from lambda_core.data import IMAGENETTE_CLASSES, prepare
from lambda_core.pictures import FORMATS, as_rgb
from lambda_core.predict import PictureRefused, main, predict, read_picture

OVERRIDES = {"depths": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "num_classes": 3, "scope": 3, "dim_k": 4}
PREPROCESS = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a photograph.png"
    Image.effect_noise((60, 40), 80).convert("RGB").save(path)
    return path


@pytest.fixture
def network(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "net.safetensors"
    model = build("lambda_resnet26", **OVERRIDES).eval()
    for block in model.modules():
        if hasattr(block, "norm3"):
            torch.nn.init.ones_(block.norm3.weight)
    save_checkpoint(
        path, model, architecture={"name": "lambda_resnet26", "overrides": OVERRIDES},
        classes=["ant", "bee", "cat"], preprocess=PREPROCESS,
    )  # fmt: skip
    return path


def run(capsys, *arguments):
    """(exit code, stdout, stderr)"""
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, arguments)))
    return caught.value.code, *capsys.readouterr()


def test_the_figures_are_the_networks_own(picture, network, capsys):
    code, out, _ = run(capsys, picture, "--checkpoint", network, "--json", "-", "--top", 9)
    assert code == 0
    found = json.loads(out)["images"][0]
    loaded = load_checkpoint(network)
    with torch.inference_mode():
        expected = loaded.model(prepare(Image.open(picture), loaded.preprocess))[0].softmax(0)
    assert found["image"] == str(picture)
    assert [p["index"] for p in found["predictions"]] == expected.argsort(descending=True).tolist()
    names = ("ant", "bee", "cat")
    for prediction in found["predictions"]:
        assert prediction["probability"] == pytest.approx(float(expected[prediction["index"]]), abs=1e-6)
        assert prediction["class"] == names[prediction["index"]]


def test_classes_without_a_name_have_a_number(network):
    loaded = replace(load_checkpoint(network), classes=())
    found = predict(loaded, Image.new("RGB", (8, 8)))
    assert sorted(p["class"] for p in found) == ["class 0", "class 1", "class 2"]


def test_a_table_of_the_network_that_ships(picture, tmp_path, capsys):
    file = tmp_path / "result.json"
    code, out, _ = run(capsys, picture, picture, "--top", 3, "--json", file)
    first, *rows = out.splitlines()[:4]
    assert code == 0 and first == str(picture) and len(out.splitlines()) == 8
    shown = [row.split(" %  ") for row in rows]
    predictions = json.loads(file.read_text())["images"][1]["predictions"]
    assert [name for _, name in shown] == [p["class"] for p in predictions]
    assert {p["class"] for p in predictions} < set(IMAGENETTE_CLASSES)
    for (per_cent, _), prediction in zip(shown, predictions, strict=True):
        assert float(per_cent) == pytest.approx(100 * prediction["probability"], abs=0.006)


def test_a_camera_may_have_been_turned(picture, network, tmp_path, capsys):
    turned = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    Image.open(picture).transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    _, out, _ = run(capsys, picture, turned, "--checkpoint", network, "--json", "-")
    first, second = (found["predictions"] for found in json.loads(out)["images"])
    assert first == second


def test_deep_greys_and_transparency(tmp_path):
    """As the app reads them: 16 bits use their full range, and what is transparent is white."""
    values = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "deep.png")
    deep = np.asarray(read_picture(tmp_path / "deep.png"))
    np.testing.assert_allclose(deep, (values / 257)[..., None].repeat(3, 2), atol=0.5)
    Image.new("RGBA", (2, 2), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (np.asarray(read_picture(tmp_path / "clear.png")) == 255).all()
    stretched = np.asarray(as_rgb(Image.fromarray(np.array([[-1.0, 0.0], [1.0, 3.0]], dtype=np.float32))))
    assert stretched[..., 0].tolist() == [[0, 64], [128, 255]]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(tmp_path, kind):
    Image.new("RGB", (16, 12), (200, 40, 40)).save(tmp_path / "picture", kind)
    pixels = np.asarray(read_picture(tmp_path / "picture"), dtype=float)
    assert pixels.shape == (12, 16, 3) and np.abs(pixels - (200, 40, 40)).max() < 8


def test_pictures_that_another_program_would_open_are_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "drawing.eps")
    with pytest.raises(PictureRefused, match=r"drawing\.eps' is not a picture"):
        read_picture(tmp_path / "drawing.eps")


def broken(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_pictures_that_are_none(picture, network, tmp_path, capsys):
    """One sentence each, and the picture between them still has its answer."""
    whole = picture.read_bytes()
    text = broken(tmp_path, "notes.jpg", b"not a picture")
    half = broken(tmp_path, "half.png", whole[: len(whole) // 2])
    code, out, err = run(capsys, tmp_path / "nowhere.jpg", text, picture, half, tmp_path, "--checkpoint", network)
    assert code == 2
    assert out.startswith(str(picture)) and len(out.splitlines()) == 4
    missing, none, damaged, folder = err.splitlines()
    assert missing.startswith("there is no picture") and "nowhere.jpg" in missing
    assert "notes.jpg' is not a picture: give a JPEG" in none
    assert "half.png' cannot be read, it is damaged" in damaged
    assert folder.startswith("there is no picture")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--checkpoint", "nowhere"], "there is no checkpoint 'nowhere'"),
        (["--device", "toaster"], "this machine has no device 'toaster'"),
        (["--device", "meta"], "this machine has no device 'meta'"),
        (["--json", "no/such/folder/x.json"], "'no/such/folder/x.json' cannot be written"),
        (["--top", "0"], "argument --top: '0' is no count: take 1 or more"),
    ],
)
def test_what_cannot_be_used_is_told(picture, capsys, arguments, reason):
    code, _, err = run(capsys, picture, *arguments)
    assert code == 2
    assert reason in err and "Traceback" not in err


def test_a_checkpoint_must_say_how_a_picture_is_prepared(network):
    loaded = load_checkpoint(network)
    loaded.preprocess.pop("std")
    with pytest.raises(CheckpointRefused, match="its preprocess lacks std"):
        predict(loaded, Image.new("RGB", (8, 8)))


def test_the_command(picture):
    """The module runs as a program, from any folder, and its exit code is the shell's."""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "lambda_core.predict", picture, "nowhere.jpg", "--top", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 2
    assert done.stdout.splitlines()[0] == str(picture)
    assert done.stderr.count("\n") == 1 and "nowhere.jpg" in done.stderr


def test_features_are_no_answer(tmp_path):
    model = build("lambda_resnet_mini", depths=(1,), widths=(8,), strides=(1,), stages="L", num_classes=0)
    preprocess = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    with pytest.raises(CheckpointRefused, match="ends in features"):
        predict(Checkpoint(model, (), preprocess, {}), Image.new("RGB", (40, 40)))


def test_a_network_of_other_channels_sees_no_picture(picture, tmp_path, capsys):
    architecture = {"name": "lambda_resnet_micro", "overrides": {"num_classes": 3, "in_chans": 1}}
    model = build("lambda_resnet_micro", num_classes=3, in_chans=1)
    preprocess = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    save_checkpoint(tmp_path / "grey.safetensors", model, architecture=architecture, preprocess=preprocess)
    code, _, err = run(capsys, picture, "--checkpoint", tmp_path / "grey.safetensors")
    assert code and "takes images of 1 channels, and a picture has 3" in err


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_network_of_another_type_predicts(picture, network, dtype):
    loaded = load_checkpoint(network)
    expected = predict(loaded, read_picture(picture))
    found = predict(replace(loaded, model=loaded.model.to(dtype)), read_picture(picture))
    assert [one["probability"] for one in found] == pytest.approx([one["probability"] for one in expected], abs=0.05)
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    assert evaluation.normalized(loaded, pixels).dtype == dtype


def test_a_full_disk_leaves_the_file_that_was_there(picture, network, tmp_path, monkeypatch):
    file, write = tmp_path / "result.json", Path.write_text

    def half(path, text, **options):
        write(path, text[:9], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    file.write_text("{}")
    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(SystemExit, match=r"result\.json could not be written: No space left on device"):
        main([str(picture), "--checkpoint", str(network), "--json", str(file)])
    assert file.read_text() == "{}" and not file.with_name("result.json.part").exists()
