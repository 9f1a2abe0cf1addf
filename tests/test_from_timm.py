"""timm's lambda networks and layer become ours and go back, with equal outputs; a misfit is told key by key."""

import importlib
import io
import time
from functools import partial

import huggingface_hub
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save
from timm.data import create_transform
from timm.layers.lambda_layer import LambdaLayer as TimmLayer
from torch import nn

from lambda_core import LambdaLayer, LambdaLayer1d, build, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import CheckpointRefused, Mismatch, from_timm, read_checkpoint, to_lucidrains, to_timm
from lambda_core.checkpoints.dialect import plain
from lambda_core.data import prepare
from tests.peers import randomize

SIZES = {"lambda_resnet26t": 64, "lambda_resnet26rpt_256": 256, "lambda_resnet50ts": 64}
importer = importlib.import_module("lambda_core.checkpoints.from_timm")


def network(name, **options):
    """A network of timm's with random weights and statistics; small scales, so that the outputs stay near 1."""
    torch.manual_seed(0)
    model = timm.create_model(name, **options).eval()
    for key, value in model.state_dict().items():
        if value.is_floating_point() and value.dim() == 1:
            value.normal_({"running_var": 1.0, "weight": 0.3}.get(key.rpartition(".")[2], 0.0), 0.1)
    return model


@pytest.fixture(scope="module")
def theirs():
    return network("lambda_resnet26t", num_classes=7)


def agree(ours, theirs, size, within=1e-4):
    x = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        expected = theirs(x)
        assert 0.05 < expected.std() < 5
        torch.testing.assert_close(ours(x), expected, rtol=within, atol=within)


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_networks_there_and_back(name, size):
    model = network(name, num_classes=5)
    ours = from_timm(model)
    agree(ours, model, size)
    agree(from_timm(model.state_dict()), model, size)  # which network it is, its keys say
    again = timm.create_model(name, num_classes=5).eval()
    again.load_state_dict(to_timm(ours), strict=True)
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
    save(to_timm(ours))  # a file takes contiguous tensors alone


def test_a_network_without_classifier():
    model = network("lambda_resnet26t", num_classes=0)
    agree(from_timm(model), model, 64)


@pytest.mark.parametrize(
    ("dim", "options"),
    [(16, {"r": 5}), (16, {"r": 3, "stride": 2, "num_heads": 2, "dim_head": 3}), (8, {"r": None, "feat_size": (8, 6)})],
    ids=str,
)
def test_layers_there_and_back(dim, options):
    torch.manual_seed(0)
    layer = randomize(TimmLayer(dim, **options))
    layer.init_non_persistent_buffers()
    ours = from_timm(layer).double()
    ours.load_state_dict(from_timm(layer).state_dict())
    x = torch.randn(2, dim, 8, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), layer(x), rtol=1e-4, atol=1e-4)
    again = TimmLayer(dim, **options)
    again.load_state_dict(to_timm(ours), strict=True)


def test_a_layer_in_a_file(tmp_path):
    torch.manual_seed(0)
    theirs, file = randomize(TimmLayer(16, r=5)).float(), tmp_path / "layer.safetensors"
    file.write_bytes(save({key: value for key, value in theirs.state_dict().items() if value.dim()}))
    loaded, x = load_checkpoint(file), torch.randn(2, 16, 8, 6)
    torch.testing.assert_close(loaded.model(x), theirs(x), rtol=1e-4, atol=1e-4)
    assert loaded.card == {"source": "timm"}


def test_our_layer_without_a_bias_is_theirs_with_zeros():
    torch.manual_seed(0)
    ours, theirs = LambdaLayer(8, dim_k=4, scope=3).eval(), TimmLayer(8, dim_head=4, r=3).eval()
    theirs.load_state_dict(to_timm(ours), strict=True)
    x = torch.randn(1, 8, 5, 5)
    torch.testing.assert_close(theirs(x), ours(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dim_u": 2}, "the lambda layer of timm has u = 1, and this one has not"),
        ({"content": False, "norm_qv": False}, "has both halves and norms on queries and values, and"),
        ({"key_norm": "l2"}, "has softmax keys, and"),
        ({"scope": None, "size": (4, 4), "position_bias": True}, "has no bias beside global embeddings, and"),
    ],
)
def test_layers_that_timm_has_not(options, reason):
    with pytest.raises(ValueError, match=reason):
        to_timm(LambdaLayer(8, **{"dim_k": 4, "scope": 3, **options}))


@pytest.mark.parametrize("options", [{"strides": (1, 2, 2, 1)}, {"pool": False}], ids=str)
def test_networks_that_would_compute_something_else_there(options):
    with torch.device("meta"):
        model = build("lambda_resnet26t", **options)
    with pytest.raises(ValueError, match="another stride or pooling"):
        to_timm(model)


def test_a_network_with_parts_that_timm_has_not():
    with torch.device("meta"):
        model = build("lambda_resnet26t", stages="C-C-CL-SL")
    with pytest.raises(ValueError, match=r"\d weights of this network have no place there, stages\.3\.0\.\w+"):
        to_timm(model)


def test_a_wrong_weight_is_noticed(theirs):
    """The comparison would see a mistake: two matrices exchanged that have one shape."""
    state = dict(theirs.state_dict())
    first, second = "stages.3.0.self_attn.norm_q.bias", "stages.3.1.self_attn.norm_q.bias"
    state[first], state[second] = state[second], state[first]
    with pytest.raises(AssertionError, match="not close"):
        agree(from_timm(state), theirs, 64)


def pt(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: save({key: value.half() for key, value in state.items() if "num_batches" not in key}),
        lambda state: pt({"epoch": 3, "state_dict": state}),
        lambda state: pt(state, _use_new_zipfile_serialization=False),
    ],
    ids=["safetensors in half precision, no counters", "nested", "as torch wrote before 1.6"],
)
def test_files_are_recognised(theirs, wrap):
    loaded = read_checkpoint(wrap(theirs.state_dict()))
    agree(loaded.model, theirs, 64, within=1e-2)
    assert loaded.classes == tuple(f"class {number}" for number in range(7))
    assert loaded.preprocess["size"] == 256 and loaded.preprocess["crop"] == 0.94
    assert loaded.card == {
        "source": "timm",
        "architecture": {"name": "lambda_resnet26t", "overrides": {"num_classes": 7}},
    }


def test_state_dicts_are_unwrapped():
    weights = {"a.weight": torch.zeros(2)}
    wrapped = {"module.module.a.weight": weights["a.weight"]}
    for content in (weights, wrapped, {"model": weights}, {"state_dict": {"model": wrapped}, "epoch": 1}):
        assert plain(content) == weights
    assert plain({"model_state_dict": {**weights, "step": 3}}) == weights
    assert plain([1]) == plain({"state_dict": None}) == plain(torch.zeros(2)) == {}


def test_an_imported_network_can_be_saved_as_ours(theirs, tmp_path):
    loaded = read_checkpoint(save(theirs.state_dict()))
    path = tmp_path / "net.safetensors"
    save_checkpoint(
        path, loaded.model, architecture=loaded.card["architecture"], classes=loaded.classes,
        preprocess=loaded.preprocess, card=loaded.card, dtype=torch.float32,
    )  # fmt: skip
    again = load_checkpoint(path)
    assert (again.classes, dict(again.preprocess), again.card) == (loaded.classes, dict(loaded.preprocess), loaded.card)
    agree(again.model, theirs, 64)


def test_mismatches_are_told_key_by_key(theirs):
    state = dict(theirs.state_dict())
    del state["stages.2.1.post_attn.bias"]
    state["extra.weight"] = torch.zeros(2, 3)
    state["stages.3.1.self_attn.conv_lambda.weight"] = torch.zeros(16, 1, 7, 7, 1)
    with pytest.raises(CheckpointRefused) as caught:
        read_checkpoint(save(state))
    assert caught.value.mismatches == (
        Mismatch("stages.2.1.post_attn.bias", None, (256,)),
        Mismatch("extra.weight", (2, 3), None),
        Mismatch("stages.3.1.self_attn.conv_lambda.weight", (16, 1, 7, 7, 1), (16, 1, 9, 9, 1)),
    )
    assert str(caught.value) == (
        "the weights do not fit timm's lambda_resnet26t: missing stages.2.1.post_attn.bias; unknown extra.weight; "
        "stages.3.1.self_attn.conv_lambda.weight is (16, 1, 7, 7, 1) and should be (16, 1, 9, 9, 1)"
    )


def test_a_classifier_that_is_none(theirs):
    state = {**theirs.state_dict(), "head.fc.weight": torch.tensor(1.0)}
    with pytest.raises(CheckpointRefused, match=r"unknown head\.fc\.bias; unknown head\.fc\.weight$"):
        from_timm(state)


def test_a_long_list_is_counted(theirs):
    state = {key: value for key, value in theirs.state_dict().items() if not key.startswith("stages.0")}
    with pytest.raises(CheckpointRefused, match=r"; missing [\w.]+, and \d\d more$") as caught:
        from_timm(state)
    assert len(caught.value.mismatches) == sum(key.startswith("stages.0") for key in theirs.state_dict()) - 7


@pytest.mark.parametrize("state", [{"w": torch.zeros(2)}, {}, {"qkv.weight": torch.zeros(3, 2, 1, 1)}])
def test_other_weights_are_refused(state):
    with pytest.raises(CheckpointRefused):
        from_timm(state)


def test_by_name_through_timms_own_loading(theirs, tmp_path, monkeypatch):
    """The path to the hub, with a local file at its end."""
    model = network("lambda_resnet26t")
    file = tmp_path / "weights.pth"
    torch.save(model.state_dict(), file)

    def fetch(name):
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": str(file)})

    monkeypatch.setattr(importer, "fetch", fetch)
    loaded = load_checkpoint("timm/lambda_resnet26t.c1_in1k")
    agree(loaded.model, model, 64)
    agree(from_timm("timm/lambda_resnet26t.c1_in1k"), model, 64)
    assert len(loaded.classes) == 1000 and loaded.classes[217] == "English springer"
    assert loaded.preprocess == {
        "size": 256, "crop": 0.94, "interpolation": "bicubic",
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    }  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_files_are_prepared_as_timm_does(name):
    """The preprocessing that we give a file of weights is the one in timm's configuration, and it gives the input."""
    configuration = timm.models.get_pretrained_cfg(name).to_dict()
    preprocess = importer.TIMM_FILES.preprocess({"name": name, "overrides": {}})
    assert preprocess["crop"] == configuration["crop_pct"]
    options = {option: configuration[option] for option in ("input_size", "interpolation", "mean", "std", "crop_pct")}
    image = Image.effect_noise((400, 300), 60).resize((700, 500), Image.Resampling.BICUBIC).convert("RGB")
    expected = create_transform(**options)(image)
    difference = (prepare(image, preprocess)[0] - expected).abs()
    assert difference.mean() < 0.01 and difference.max() < 0.1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("no route"), r"^timm/lambda_resnet26t is known, but its weights could not be fetched \(OSError\): "),
        (
            ModuleNotFoundError("timm"),
            "the package timm, which fetches its weights, is not installed: pip",
        ),
    ],
)
def test_offline_is_one_sentence(monkeypatch, error, reason):
    def fetch(_name):
        raise error

    monkeypatch.setattr(importer, "fetch", fetch)
    with pytest.raises(CheckpointRefused, match=reason) as caught:
        load_checkpoint("timm/lambda_resnet26t")
    assert "\n" not in str(caught.value)


def test_a_hub_that_is_not_there_is_noticed_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # a port where nobody listens
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    start = time.perf_counter()
    with pytest.raises(CheckpointRefused, match=r"its weights could not be fetched \(ConnectError\)"):
        load_checkpoint("timm/lambda_resnet26t.c1_in1k")
    assert time.perf_counter() - start < 2 * importer.SECONDS


@pytest.mark.parametrize("there", [True, False])
def test_the_hub_is_asked_only_for_what_is_not_in_the_cache(monkeypatch, there):
    asked = []
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: "file" if there else None)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, timeout: asked.append(url))
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: (name, pretrained))
    assert importer.fetch("lambda_resnet26t.c1_in1k") == ("lambda_resnet26t.c1_in1k", True)
    assert [url.partition("/timm/")[2] for url in asked] == (
        [] if there else ["lambda_resnet26t.c1_in1k/resolve/main/model.safetensors"]
    )


def test_other_names_of_timm():
    with pytest.raises(CheckpointRefused, match="timm has no lambda network 'resnet50'; there are lambda_resnet26t"):
        load_checkpoint("timm/resnet50.a1_in1k")
    with pytest.raises(CheckpointRefused, match="timm has no lambda network 'resnet50'"):
        from_timm("timm/resnet50.a1_in1k")


@pytest.mark.parametrize(
    "options",
    [
        {"output_stride": 16}, {"global_pool": "max"}, {"global_pool": "avgmax"}, {"stem_pool": ""},
        {"act_layer": "leaky_relu"}, {"act_layer": "mish"}, {"norm_layer": partial(nn.BatchNorm2d, eps=0.05)},
    ],
)  # fmt: skip
def test_what_would_give_other_outputs_is_refused(options):
    with pytest.raises(CheckpointRefused, match="gives other outputs than timm's lambda_resnet26t with its weights"):
        from_timm(timm.create_model("lambda_resnet26t", **options))


@pytest.mark.parametrize("side", [128, 192])
def test_global_embeddings_for_images_of_another_size(side, tmp_path):
    theirs = network("lambda_resnet26rpt_256", img_size=side, num_classes=3)
    agree(from_timm(theirs), theirs, side)
    path = tmp_path / "weights.pt"
    torch.save(theirs.state_dict(), path)
    loaded = load_checkpoint(path)
    agree(loaded.model, theirs, side)
    assert loaded.preprocess["size"] == side
    assert from_timm(theirs).config.image_size == (side, side)


def test_a_network_that_ends_in_a_map_is_refused():
    with pytest.raises(CheckpointRefused, match=r"gives other outputs .* norm, stem, pooling, head or output stride"):
        from_timm(network("lambda_resnet26t", num_classes=0, global_pool=""))


@pytest.mark.parametrize("convert", [to_timm, to_lucidrains])
def test_what_is_no_lambda_layer_has_no_like_there(convert):
    with pytest.raises(ValueError, match=r"^only a LambdaLayer has its like in \w+, not LambdaLayer1d$"):
        convert(LambdaLayer1d(8))
    with pytest.raises(ValueError, match=r"^(only a LambdaLayer has its like|timm has no network of this shape)"):
        convert(build("lambda_resnet_micro"))


def test_a_layer_without_a_norm_is_missing_it():
    state = to_timm(LambdaLayer(32, scope=5, position_bias=True))
    with pytest.raises(CheckpointRefused, match=r"do not fit a lambda layer of timm's: missing norm_v.weight"):
        from_timm({key: value for key, value in state.items() if key != "norm_v.weight"})


def test_a_global_network_for_another_image_size_goes_back():
    theirs = timm.create_model("lambda_resnet26rpt_256", img_size=128, num_classes=3)
    for name, value in to_timm(from_timm(theirs)).items():
        torch.testing.assert_close(value, theirs.state_dict()[name])


def test_other_channels_and_a_compiled_modules_names(theirs):
    grey = timm.create_model("lambda_resnet26t", in_chans=1, num_classes=3).eval()
    wrapped = {f"_orig_mod.module.{name}": value for name, value in grey.state_dict().items()}
    x = torch.randn(1, 1, 64, 64)
    for source in (grey, {"model_ema": wrapped}):
        ours = from_timm(source)
        assert ours.config.in_chans == 1
        with torch.no_grad():
            torch.testing.assert_close(ours(x), grey(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["resnet50", "lambda_resnet_mini", "san10"])
def test_networks_that_timm_has_not(name):
    with pytest.raises(
        ValueError, match=r"timm has no network of this shape|only a ResNet of this library|no place there"
    ):
        to_timm(build(name, num_classes=4))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"stride": 2, "pool_size": 3}, "averages over 2 x 2 for a stride"),
        ({"dim_context": 8}, "queries and context of equal width"),
    ],
)
def test_a_layer_that_timm_would_compute_otherwise(options, reason):
    with pytest.raises(ValueError, match=reason):
        to_timm(LambdaLayer(16, scope=5, position_bias=True, **options))
    with pytest.raises(ValueError, match=r"stride 1|equal width"):
        to_lucidrains(LambdaLayer(16, scope=5, position_bias=True, **options))
