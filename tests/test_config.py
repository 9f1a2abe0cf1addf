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
