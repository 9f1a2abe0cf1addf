"""Colours of cells that hold numbers, and the ink of the numbers."""

import numpy as np
import pytest

from explorer import answer_plots, cells
from explorer.theme import PALETTE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_can_be_read_on_every_colour_of_a_cell(scheme):
    """The colours of the scale are those that the inks were chosen for; more is never less of the colour."""
    shares = np.linspace(0, 1, 301)
    ways = [cells.way(share, scheme) for share in shares]
    assert ways[0] == 0 and ways[-1] == 1 and np.all(np.diff(ways) > 0)
    assert min(cells.contrast(cells.letters(share, scheme), cells.way(share, scheme), scheme) for share in shares) > 4.8
    at, colours = zip(*cells.scale(scheme), strict=True)
    channels = np.array([[int(c) for c in colour[4:-1].split(",")] for colour in colours])
    for share, way in zip(shares, ways, strict=True):
        upper = np.searchsorted(at, share, "right").clip(1, 3)
        part = (share - at[upper - 1]) / ((at[upper] - at[upper - 1]) or 1)
        drawn = channels[upper - 1] + part * (channels[upper] - channels[upper - 1])
        np.testing.assert_allclose(drawn, cells._mixed(way, scheme), atol=1)


def test_numbers_on_a_colour_are_in_the_ink_that_reads_best():
    inks = {scheme: [cells.letters(share, scheme) for share in (0, 0.3, 1)] for scheme in ("light", "dark")}
    assert inks == {"light": ["ink"] * 3, "dark": ["ink", "ink", "page"]}
    dark = answer_plots.confusion([[18, 2], [1, 39]], ["a", "b"], "dark")
    assert {trace.textfont.color: "".join(np.ravel(trace.text)) for trace in dark.data} == {
        PALETTE["dark"]["ink"]: "1", PALETTE["dark"]["page"]: "18239",
    }  # fmt: skip
