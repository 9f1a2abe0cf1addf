"""The offset of every pair, counted by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lambda_core import positions

odd = st.sampled_from([1, 3, 5, 9, 13])
side = st.integers(1, 5)


def gather_by_hand(table: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(..., n, m), by a walk over all pairs: the entry at offset m - n from the centre, zero outside."""
    height, width = size
    rows, columns = table.shape[-2:]
    out = table.new_zeros(*table.shape[:-2], height * width, height * width)
    for n in range(height * width):
        for m in range(height * width):
            row = m // width - n // width + rows // 2
            column = m % width - n % width + columns // 2
            if 0 <= row < rows and 0 <= column < columns:
                out[..., n, m] = table[..., row, column]
    return out


@settings(max_examples=40, deadline=None)
@given(rows=odd, columns=odd, height=side, width=side)
def test_gather_and_windows(rows, columns, height, width):
    table, size = torch.randn(2, 3, rows, columns), (height, width)
    expected = gather_by_hand(table, size)
    assert torch.equal(positions.gather(table, size), expected)
    for n in range(height * width):
        assert torch.equal(positions.around(table, size, n), expected[..., n, :])
    windows = positions.windows(table, size).flatten(2, 3).flatten(3)
    assert torch.equal(windows.flip(-1), expected)
    assert positions.crop(table, size).shape[2:] == positions.cropped_size((rows, columns), size)
    assert positions.padded(table, size).shape[2:] == (2 * height - 1, 2 * width - 1)


def test_a_flipped_table_is_noticed():
    """Reading offset n - m in place of m - n is wrong, and this comparison sees it."""
    table = torch.randn(1, 1, 5, 5)
    flipped = positions.gather(table.flip(-2, -1), (3, 4))
    assert torch.equal(flipped, positions.gather(table, (3, 4)).mT)
    assert not torch.allclose(flipped, gather_by_hand(table, (3, 4)))


def test_windows_have_the_gradient_of_gather():
    table, weight = torch.randn(2, 1, 5, 7, dtype=torch.float64, requires_grad=True), torch.randn(2, 1, 12, 12)
    by_index = torch.autograd.grad((positions.gather(table, (3, 4)) * weight).sum(), table)[0]
    windows = positions.windows(table, (3, 4)).flatten(2, 3).flatten(3).flip(-1)
    torch.testing.assert_close(torch.autograd.grad((windows * weight).sum(), table)[0], by_index)


def test_table_size():
    assert positions.table_size(7, None) == (7, 7)
    assert positions.table_size(None, (3, 5)) == (5, 9)
    assert positions.table_size(7, None, dims=1) == (7,)
    assert positions.table_size(None, (4,), dims=1) == (7,)


@pytest.mark.parametrize("scope", [0, 4, -3])
def test_scope_must_be_odd(scope):
    with pytest.raises(ValueError, match=f"scope must be an odd positive integer, or None for global, not {scope}"):
        positions.table_size(scope, None)


@pytest.mark.parametrize("size", [None, (3,), (0, 3)])
def test_global_needs_a_size(size):
    with pytest.raises(ValueError, match=r"needs size=\(H, W\), the largest map that the layer will see"):
        positions.table_size(None, size)
