"""The batch planner."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rerank_engine.batching import plan

lengths_ = st.lists(st.integers(1, 600), max_size=80)
budgets = st.integers(16, 1000)
counts = st.integers(1, 20)


@given(lengths_, budgets, counts)
def test_every_index_is_planned_once(lengths: list[int], token_budget: int, max_sequences: int) -> None:
    """Nothing is lost, nothing is scored twice, no batch is empty."""
    batches = plan(lengths, token_budget=token_budget, max_sequences=max_sequences)

    assert list(range(len(lengths))) == sorted(index for batch in batches for index in batch)
    assert all(batches)


@given(lengths_, budgets, counts)
def test_the_budget_is_respected(lengths: list[int], token_budget: int, max_sequences: int) -> None:
    """Tokens and pairs of a batch stay within bounds; a pair above the whole budget goes alone."""
    for batch in plan(lengths, token_budget=token_budget, max_sequences=max_sequences):
        assert len(batch) <= max_sequences
        assert sum(lengths[index] for index in batch) <= token_budget or len(batch) == 1


@given(lengths_, budgets, counts)
def test_lengths_fall_and_ties_keep_their_order(lengths: list[int], token_budget: int, max_sequences: int) -> None:
    """Neighbours have like lengths, and the plan is the same on every call."""
    batches = plan(lengths, token_budget=token_budget, max_sequences=max_sequences)
    order = [index for batch in batches for index in batch]

    assert sorted(order, key=lambda index: (-lengths[index], index)) == order


@given(lengths_, budgets)
def test_batches_are_not_split_without_need(lengths: list[int], token_budget: int) -> None:
    """The first pair of each batch would not have fitted the one before."""
    batches = plan(lengths, token_budget=token_budget, max_sequences=1000)
    for before, after in pairwise(batches):
        assert sum(lengths[index] for index in before) + lengths[after[0]] > token_budget
