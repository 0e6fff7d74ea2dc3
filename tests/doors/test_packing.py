"""Which pairs go into the next forward pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_engine.batching import fair_batch, longest_first, slice_tokens


@pytest.mark.parametrize(
    ("queues", "starts", "expected"),
    [
        ([], [], []),
        ([[]], [0], [0]),
        ([[10]], [0], [1]),
        ([[10]], [1], [0]),
        ([[500]], [0], [1]),  # longer than the budget: alone
        ([[500], [10]], [0, 0], [1, 0]),
        ([[10], [500]], [0, 0], [1, 0]),
        ([[10] * 50, [10]], [0, 0], [7, 1]),  # small beside large: whole
        ([[10] * 50, [10] * 50], [0, 0], [4, 4]),  # max_pairs, shared
        ([[40] * 50, [40] * 50], [0, 0], [1, 1]),
        ([[60, 10], [60, 10], [30]], [0, 0, 0], [2, 0, 1]),  # what does not fit lets others go on
        ([[90, 5, 5], [5]], [1, 0], [2, 1]),
    ],
)
def test_shares(queues: list[list[int]], starts: list[int], expected: list[int]) -> None:
    """Requests take turns pair by pair within 100 tokens and 8 pairs."""
    actual = fair_batch(queues, starts, token_budget=100, max_pairs=8)

    assert expected == actual


lengths = st.lists(st.integers(1, 400), max_size=30)


@given(st.lists(lengths, max_size=6), st.integers(16, 500), st.integers(1, 20))
def test_every_pair_goes_exactly_once(queues: list[list[int]], token_budget: int, max_pairs: int) -> None:
    """Batch after batch, each pair is taken once; the budgets hold, but for a single pair that is longer alone."""
    starts = [0] * len(queues)
    while any(start < len(queue) for start, queue in zip(starts, queues, strict=True)):
        counts = fair_batch(queues, starts, token_budget=token_budget, max_pairs=max_pairs)
        taken = [
            length
            for queue, start, count in zip(queues, starts, counts, strict=True)
            for length in queue[start : start + count]
        ]
        assert 0 < len(taken) <= max_pairs
        assert len(taken) == 1 or sum(taken) <= token_budget
        starts = [start + count for start, count in zip(starts, counts, strict=True)]

    assert [len(queue) for queue in queues] == starts


@given(st.lists(st.lists(st.integers()), max_size=20))
def test_longest_first_is_a_stable_permutation(pairs: list[list[int]]) -> None:
    """Every pair once, by falling length, equal lengths as they came."""
    order = longest_first(pairs)

    assert sorted(range(len(pairs)), key=lambda index: (-len(pairs[index]), index)) == order


@pytest.mark.parametrize(
    ("tokens_per_s", "expected"), [(None, 2048), (4000.0, 1000), (10_000_000.0, 16_384), (1.0, 1), (0.0, 1)]
)
def test_slices(tokens_per_s: float | None, expected: int) -> None:
    """A slow device gets passes of a quarter second, a fast one the whole budget."""
    actual = slice_tokens(tokens_per_s, token_budget=16_384, slice_s=0.25)

    assert expected == actual
