"""Configurations that no network can be built from: each gets a sentence."""

import pytest

from lambda_core import build


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"depths": (3, 4, 0, 3)}, "depths must hold a whole number of at least 1 for each stage"),
        ({"depths": 3}, "depths must hold"),
        ({"widths": 64}, "widths must hold"),
        ({"image_size": "224"}, "image_size must be a side or"),
        ({"layers": {"G": 3}}, "layers takes options by name under a letter"),
    ],
)
def test_sizes_that_are_none_are_told(wrong, said):
    with pytest.raises(ValueError, match=said):
        build("resnet26", **wrong)


@pytest.mark.parametrize(("name", "value"), [("widths", (8, 8)), ("strides", (1, 2, 2, 2, 2))])
def test_every_stage_needs_its_numbers(name, value):
    with pytest.raises(ValueError, match=rf"^{name}=\(.*\) must have an entry for each stage of depths="):
        build("resnet26", **{name: value})


def test_stem_and_classifier():
    for wrong, name in ((-1, "resnet26"), ("10", "resnet26"), (None, "san10")):
        with pytest.raises(ValueError, match=rf"^num_classes must be a whole number of at least 0, .* not {wrong!r}$"):
            build(name, num_classes=wrong)
    for stem in ((), 5, ((3, 32),), ((3, 0, 2),), ((3, 32, 0),), "7x7"):
        with pytest.raises(ValueError, match=r"^stem must have at least one convolution, each \(kernel, "):
            build("resnet26", stem=stem)
    with pytest.raises(ValueError, match=r"^a kernel of the stem must be odd"):
        build("resnet26", stem=((2, 32, 2),))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"expansion": 0}, "expansion must be a number that leaves every stage a channel, not 0"),
        ({"expansion": "4"}, "expansion must be a number that leaves every stage a channel, not '4'"),
        ({"expansion": float("inf")}, "expansion must be a number that leaves every stage a channel, not inf"),
        ({"dropout": "a"}, "dropout must be at least 0 and below 1, not 'a'"),
        ({"drop_path": None}, "drop_path must be at least 0 and below 1, not None"),
        ({"in_chans": True}, "in_chans must be a whole number of at least 1, as 3 for colours, not True"),
        ({"num_classes": False}, "num_classes must be a whole number of at least 0, for no classifier, not False"),
        ({"pool": "no"}, "pool must be True or False, not 'no'"),
        ({"share_embeddings": 1}, "share_embeddings must be True or False, not 1"),
        ({"act": ["relu"]}, r"act must be one of relu, silu, not \['relu'\]"),
        ({"layer": {3: 5}}, r"stage 3 takes options by name, as \{'scope': 7\}, not 5"),
    ],
)
def test_numbers_that_are_none(options, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        build("lambda_resnet26", **options)


def test_a_san_needs_its_numbers_too():
    with pytest.raises(ValueError, match=r"^widths=\(64,\) must have an entry for each stage of depths="):
        build("san10", widths=(64,))
    with pytest.raises(ValueError, match=r"^depths must hold a whole number of at least 1 for each stage, not 5$"):
        build("san10", depths=5)


def test_unknown_names_and_options():
    with pytest.raises(ValueError, match=r"^no network is called 'resnet51'; there are resnet26, resnet50, .*lambda_"):
        build("resnet51")
    with pytest.raises(ValueError, match="no network is called 'lambda_lambda_resnet50'"):
        build("lambda_lambda_resnet50")
    with pytest.raises(TypeError, match=r"^no lambda layer has the option 'dimk'; there are content, dim_k, dim_u, "):
        build("lambda_resnet50", dimk=8)
    with pytest.raises(TypeError, match="no lambda layer has the option 'stride'"):
        build("resnet50", stride=2)
    with pytest.raises(ValueError, match=r"^layer has options for stage 5, but the stages are numbered 1 to 4$"):
        build("lambda_resnet50", layer={5: {"dim_k": 8}})
