"""Checkpoints: what goes out comes back, and what does not fit is refused in one sentence with nothing run."""

import argparse
import io
import json
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from lambda_core import LambdaLayer, build, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import CheckpointRefused, dialect, read_checkpoint, to_timm, zoo

OVERRIDES = {
    "depths": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "stem": ((3, 8, 2),), "pool": False,
    "num_classes": 3, "stages": "CCLL", "layer": {"scope": 3, "dim_k": 4, "heads": 2},
}  # fmt: skip
ARCHITECTURE = {"name": "resnet26", "overrides": OVERRIDES}
PREPROCESS = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build("resnet26", **OVERRIDES).eval()


@pytest.fixture
def content(model, tmp_path):
    path = tmp_path / "net.safetensors"
    save_checkpoint(
        path, model, architecture=ARCHITECTURE, classes=["a", "b", "c"], preprocess=PREPROCESS, card={"seed": 0}
    )
    return path.read_bytes()


def header_and_body(content):
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_card(content, change):
    """The same file with its lambda_core header changed."""
    header, body = header_and_body(content)
    card = json.loads(header["__metadata__"]["lambda_core"])
    change(card)
    header["__metadata__"]["lambda_core"] = json.dumps(card)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def refusal(content):
    with pytest.raises(CheckpointRefused) as caught:
        read_checkpoint(content)
    message = str(caught.value)
    assert "\n" not in message
    assert 20 < len(message) < 400
    return message


def test_round_trip(model, content):
    loaded = read_checkpoint(content)
    x = torch.randn(2, 3, 32, 32)
    assert loaded.classes == ("a", "b", "c")
    assert loaded.preprocess == PREPROCESS
    assert loaded.card["seed"] == 0
    assert not loaded.model.training
    torch.testing.assert_close(loaded.model(x), model(x), rtol=0, atol=5e-3)


def test_full_precision_is_exact(model, tmp_path):
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, model, architecture=ARCHITECTURE, dtype=torch.float32)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(load_checkpoint(path).model(x), model(x))


def test_saving_leaves_no_half_file(model, tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"the old one")

    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("lambda_core.checkpoints.files.save_safetensors", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, model, architecture=ARCHITECTURE)
    assert path.read_bytes() == b"the old one"


def test_unknown_name_lists_the_zoo():
    with pytest.raises(CheckpointRefused, match="no checkpoint 'nowhere'"):
        load_checkpoint("nowhere")


@pytest.mark.parametrize("keep", [0, 4, 9, 200, -1])
def test_truncated(content, keep):
    assert "not a whole safetensors file" in refusal(content[:keep])


@pytest.mark.parametrize("length", [0x8080, int.from_bytes(b"PK\3\0", "little")])
def test_a_length_that_looks_like_another_format(content, length):
    """The first bytes of a safetensors file are a number; it may spell the mark of a pickle or of a ZIP archive."""
    header, body = header_and_body(content)
    text = json.dumps(header).encode().ljust(length)
    assert len(text) == length
    assert read_checkpoint(struct.pack("<Q", length) + text + body).classes == ("a", "b", "c")


def test_another_kind_of_file():
    assert "not a whole safetensors file" in refusal(b"GIF89a" + bytes(100))


def test_a_header_without_metadata():
    header = json.dumps({"__metadata__": None}).encode()
    assert refusal(struct.pack("<Q", len(header)) + header)


def test_weights_without_architecture():
    content = save({"w": torch.zeros(2)})
    assert "not the architecture" in refusal(content)
    with pytest.raises(CheckpointRefused) as refused:
        read_checkpoint(content)
    assert [(m.key, m.found, m.expected) for m in refused.value.mismatches] == [("w", (2,), None)]


def test_wrong_shapes_are_named(content):
    message = refusal(with_card(content, lambda card: card["architecture"]["overrides"].update(num_classes=4)))
    assert "classify.weight is (3, 32) and should be (4, 32)" in message


def test_missing_and_unknown_keys_are_named(content):
    message = refusal(with_card(content, lambda card: card["architecture"]["overrides"].update(stages="CCCL")))
    assert "missing stages.2.0.mix.weight" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("architecture"),
        lambda card: card["architecture"].update(name="vgg"),
        lambda card: card["architecture"]["overrides"].update(stages="CC?L"),
        lambda card: card["architecture"]["overrides"].update(depths=[10**9, 1, 1, 1]),
        lambda card: card["architecture"]["overrides"].update(no_such_option=1),
        lambda card: card["architecture"].update(overrides=[1]),
        lambda card: card["architecture"]["overrides"].update(depths="1111"),
    ],
)
def test_a_header_that_cannot_be_built(content, change):
    assert "cannot be built" in refusal(with_card(content, change))


@pytest.mark.parametrize(
    ("names", "words"),
    [(["a", "b"], "names 2 classes, and its network has 3 scores"), ([1, 2, 3], "list of names"), ("abc", "list of")],
)
def test_class_names_that_are_not_those_of_the_scores(content, names, words):
    assert words in refusal(with_card(content, lambda card: card.update(classes=names)))


@pytest.mark.parametrize("names", [None, []])
def test_no_class_names_are_allowed(content, names):
    assert read_checkpoint(with_card(content, lambda card: card.update(classes=names))).classes == ()


def test_a_card_of_words_is_kept_as_words(content):
    assert read_checkpoint(with_card(content, lambda card: card.update(card="mine"))).card["note"] == "mine"
    read = read_checkpoint(with_card(content, lambda card: card["card"].update(recipe="AdamW")))
    assert read.card["recipe"] == {"words": "AdamW"}


@pytest.mark.parametrize("card", ["{", "[]", "3", "[" * 100_000], ids=["half", "list", "number", "deep"])
def test_a_card_that_cannot_be_read(card):
    assert "card in the file's header cannot be read" in refusal(save({"w": torch.zeros(2)}, {"lambda_core": card}))


@pytest.mark.parametrize(
    "change",
    [
        {"size": "large"}, {"size": 0}, {"size": 10**9}, {"mean": [0.5]}, {"std": [0.2, 0.2, 0]}, {"mean": None},
        {"crop": 0}, {"crop": [1]}, {"interpolation": "guess"}, {"std": [0.2, 0.2, "x"]}, {"mean": ["0.5"] * 3},
        {"size": "128"}, {"size": float("inf")}, {"size": True}, {"crop": "1"}, {"crop": True}, {"std": [10**400] * 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_preprocess_that_cannot_be_used(content, change):
    assert "preprocess cannot be used" in refusal(with_card(content, lambda card: card["preprocess"].update(change)))


def test_a_header_cannot_ask_for_memory(content):
    """Shapes are compared on the meta device: terabytes asked for are refused, not tried."""
    message = refusal(with_card(content, lambda card: card["architecture"]["overrides"].update(widths=[2**20] * 4)))
    assert "do not fit" in message


class Bomb:
    def __reduce__(self):
        return os.system, ("touch SHOULD_NOT_EXIST",)


def test_a_pickle_that_would_run_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"average": Bomb()}, buffer)
    for content in (buffer.getvalue(), pickle.dumps(Bomb())):
        assert "could run code" in refusal(content)
    assert not (tmp_path / "SHOULD_NOT_EXIST").exists()


def test_a_state_dict_alone_says_what_to_do(model):
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    assert "not the architecture" in refusal(buffer.getvalue())


def test_files_of_training_scripts(tmp_path):
    """timm writes its arguments beside the weights, others a figure as a number of numpy's; Lightning names a model."""
    layer = LambdaLayer(8, scope=5, heads=2, dim_k=4, position_bias=True)
    weights = to_timm(layer)
    beside = {
        "args": argparse.Namespace(lr=0.1, model="lambda_resnet26t"), "metric": np.float64(0.5), "epoch": 3,
        "count": np.int64(3), "optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": []},
    }  # fmt: skip
    contents = [
        {"state_dict": weights, **beside},
        {"state_dict": {f"model.{key}": value for key, value in weights.items()}},
        {"net": weights, **beside},
        {"net": {f"module.{key}": value for key, value in weights.items()}},
        {f"backbone.{key}": value for key, value in weights.items()},
    ]
    for number, content in enumerate(contents):
        torch.save(content, path := tmp_path / f"{number}.pt")
        torch.testing.assert_close(load_checkpoint(path).model.embeddings, layer.embeddings)
    torch.save({"net": weights, "ema": weights, "ema_2": weights} | {"net_2": weights}, path)
    assert load_checkpoint(path).card["source"] == "timm"  # "ema" is a usual name
    torch.save({"net": weights, "net_2": weights}, path)
    with pytest.raises(CheckpointRefused, match=r"weights of 2 networks \(net, net_2\)"):
        load_checkpoint(path)
    torch.save({key: value.to("meta") for key, value in weights.items()}, path)
    with pytest.raises(CheckpointRefused, match="the file holds no weights"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("names", "plain_names"),
    [
        (["net.stem.0.weight", "net.head.bias"], ["stem.0.weight", "head.bias"]),
        (["stages.0.mix.weight", "stages.1.mix.weight"], None),  # a part of a network
        (["head.weight", "head.bias"], None),
        (["net.stem.0.weight", "classifier.bias"], None),
        (["n_averaged", "module.stem.0.weight", "module.head.bias"], ["stem.0.weight", "head.bias"]),
        (["model.net.stem.0.weight", "ema_model.net.stem.0.weight", "loss.weight"], ["stem.0.weight"]),
    ],
)
def test_what_a_module_around_a_network_puts_before_its_names(names, plain_names):
    assert list(dialect.plain(dict.fromkeys(names, torch.ones(1)))) == (plain_names or names)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_files_that_are_something_else(tmp_path):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), buffer)
    assert refusal(buffer.getvalue()) == "the .pt file is a TorchScript program: save the network's state_dict()"
    torch.save(to_timm(LambdaLayer(8, scope=5, position_bias=True)), path := tmp_path / "layer.pt")
    with pytest.raises(CheckpointRefused, match=r"^the file holds one lambda layer, which sees no pictures"):
        load_checkpoint(path).preparation()


def test_what_cannot_be_written(tmp_path, model):
    architecture = {"name": "lambda_resnet_micro", "overrides": {"num_classes": 2}}
    with pytest.raises(ValueError, match=r"^dtype must be float16, bfloat16, float32 or float64, not torch.int8$"):
        save_checkpoint(tmp_path / "a.safetensors", model, architecture=architecture, dtype=torch.int8)
    for place in (tmp_path, tmp_path / "no" / "a.safetensors"):
        with pytest.raises(ValueError, match="cannot be written: it must be a file in a folder that is there"):
            save_checkpoint(place, model, architecture=architecture)
    assert not list(tmp_path.iterdir())


def test_truncated_pt(model):
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    assert "damaged" in refusal(buffer.getvalue()[:-500])


@settings(max_examples=150, deadline=None)
@given(st.booleans(), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6), st.floats(0.5, 1))
def test_damaged_files_never_crash(archive, damage, keep):
    """Both formats of torch; the weights-only reader fails in many ways, and each ends in a sentence."""
    buffer = io.BytesIO()
    torch.save({"a.weight": torch.ones(2, 3)}, buffer, _use_new_zipfile_serialization=archive)
    content = bytearray(buffer.getvalue())
    for place, value in damage:
        content[int(place * (len(content) - 1))] = value
    refusal(bytes(content[: int(keep * len(content))]))


def test_the_zoo_loads_and_is_small():
    sizes = {name: path.stat().st_size for name, path in zoo().items()}
    assert sizes["lambda_resnet_mini"] < 8e6
    assert sum(sizes.values()) < 60e6
    for name in sizes:
        loaded = load_checkpoint(name)
        most = 2_500_000 if "mini" in name or "micro" in name else 10_000_000
        assert sum(p.numel() for p in loaded.model.parameters()) <= most
        assert len(loaded.classes) == 10
        with torch.inference_mode():
            scores = loaded.model(torch.zeros(1, 3, loaded.preprocess["size"], loaded.preprocess["size"]))
        assert scores.isfinite().all()


def test_reading_weights_does_not_load_the_compiler():
    """It would take seconds: drawing weights on the meta device loads it."""
    code = (
        "import sys; from lambda_core.checkpoints import read_checkpoint, zoo;"
        "read_checkpoint(zoo()['lambda_resnet_mini'].read_bytes()); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_an_option_in_the_wrong_place_is_refused_when_it_is_saved(tmp_path):
    model = build("lambda_resnet_mini", depths=(1,), widths=(8,), strides=(1,), stages="L", num_classes=7)
    with pytest.raises(ValueError, match="num_classes belongs into the overrides"):
        save_checkpoint(tmp_path / "x.safetensors", model, architecture={"name": "x", "num_classes": 7})
    assert not list(tmp_path.iterdir())


def test_another_network_than_the_model_is_refused_when_it_is_saved(tmp_path):
    model = build("lambda_resnet_mini", num_classes=7)
    with pytest.raises(
        ValueError, match=r"do not fit its architecture, .*classify\.weight is \(7, 768\) and should be"
    ):
        save_checkpoint(tmp_path / "x.safetensors", model, architecture={"name": "lambda_resnet_mini"})
    assert not list(tmp_path.iterdir())


def test_a_weight_beyond_the_range_of_float16_is_kept(tmp_path):
    model = build("lambda_resnet_mini", depths=(1,), widths=(8,), strides=(1,), stages="L", num_classes=7)
    with torch.no_grad():
        model.classify.weight[0, 0] = 7e4
    overrides = {"depths": (1,), "widths": (8,), "strides": (1,), "stages": "L", "num_classes": 7}
    architecture = {"name": "lambda_resnet_mini", "overrides": overrides}
    save_checkpoint(tmp_path / "x.safetensors", model, architecture=architecture)
    assert load_checkpoint(tmp_path / "x.safetensors").model.classify.weight[0, 0] == 7e4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"classes": ["a", "b"]}, "names 2 classes, and its network has 3 scores"),
        ({"classes": [1, 2, 3]}, "must be a list of names"),
        ({"preprocess": {"size": "x"}}, "preprocess cannot be used"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(wrong, said, tmp_path):
    architecture = {"name": "lambda_resnet_micro", "overrides": {"num_classes": 3}}
    model = build("lambda_resnet_micro", num_classes=3)
    with pytest.raises(ValueError, match=said):
        save_checkpoint(tmp_path / "x.safetensors", model, architecture=architecture, **wrong)
    assert not list(tmp_path.iterdir())


def test_a_compiled_network_is_saved_under_its_own_names(tmp_path):
    architecture = {"name": "lambda_resnet_micro", "overrides": {"num_classes": 3}}
    model = build("lambda_resnet_micro", num_classes=3)
    save_checkpoint(tmp_path / "x.safetensors", torch.compile(model), architecture=architecture, dtype=torch.float32)
    read = load_checkpoint(tmp_path / "x.safetensors").model.state_dict()
    assert all(torch.equal(read[name], value) for name, value in model.state_dict().items())


def test_an_architecture_that_json_cannot_hold_is_named(tmp_path):
    overrides = {"num_classes": np.int64(3)}
    model = build("lambda_resnet_micro", **overrides)
    with pytest.raises(
        ValueError, match=r"^architecture is written as JSON, which has no place for a value in it: .*int64"
    ):
        save_checkpoint(
            tmp_path / "x.safetensors", model, architecture={"name": "lambda_resnet_micro", "overrides": overrides}
        )


@pytest.mark.parametrize("name", ["/proc/self/mem", "x" * 300])
def test_a_file_that_the_system_does_not_give_is_refused(name):
    with pytest.raises(CheckpointRefused, match=f"^the checkpoint '{name}' cannot be read: "):
        load_checkpoint(name)
