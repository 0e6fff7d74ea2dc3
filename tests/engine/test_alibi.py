"""Slopes and biases."""

import pytest
import torch

from rerank_engine.models.alibi import distance_rows, query_bias, slopes


def test_slopes_of_a_power_of_two_are_a_geometric_series() -> None:
    """Eight heads: 1/2 … 1/256."""
    expected = tuple(2.0**-k for k in range(1, 9))

    assert expected == slopes(8)


def test_twelve_heads_interpolate_four_slopes() -> None:
    """The canonical tail is every other slope of sixteen heads."""
    expected = (*(2.0**-k for k in range(1, 9)), 2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5)

    assert pytest.approx(expected, rel=1e-15) == slopes(12)


def test_tail_scale_halves_the_interpolated_slopes_only() -> None:
    """The tiny and turbo rerankers: 2^-1.5 … 2^-4.5 behind the same first eight."""
    expected = (*(2.0**-k for k in range(1, 9)), 2**-1.5, 2**-2.5, 2**-3.5, 2**-4.5)

    assert pytest.approx(expected, rel=1e-15) == slopes(12, 0.5)


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 7, 12, 16, 20, 32])
def test_there_is_one_slope_a_head(heads: int) -> None:
    """All positive, none above 1."""
    values = slopes(heads)

    assert heads == len(values)
    assert all(0 < value <= 1 for value in values)


@pytest.mark.parametrize(("length", "queries", "made_for"), [(1, 1, 1), (7, 7, 7), (7, 7, 30), (9, 1, 12), (5, 3, 5)])
def test_bias_is_minus_slope_times_distance_with_keys_reversed(length: int, queries: int, made_for: int) -> None:
    """For any length up to the one the rows were made for."""
    head_slopes = torch.tensor(slopes(3))
    distance = (torch.arange(queries)[:, None] - torch.arange(length)[None, :]).abs()
    expected = (-head_slopes[:, None, None] * distance).flip(2)

    assert torch.equal(expected, query_bias(distance_rows(head_slopes, made_for), length, queries))


def test_bias_of_a_long_pair_takes_no_quadratic_memory() -> None:
    """8192 × 8192 × 12 numbers are shown, 16,383 × 12 are stored."""
    rows = distance_rows(torch.tensor(slopes(12)), 8192)

    bias = query_bias(rows, 8192, 8192)

    assert (12, 8192, 8192) == tuple(bias.shape)
    assert rows.untyped_storage().data_ptr() == bias.untyped_storage().data_ptr()
    assert 12 * 16_383 * 4 == bias.untyped_storage().nbytes()
