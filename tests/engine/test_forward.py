"""Forward passes in little memory, with bad numbers, and with pairs of several requests."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from rerank_engine.errors import NotFinite, OutOfMemory
from rerank_engine.models import CrossEncoder, PackedBatch
from rerank_engine.reranker.forward import run_passes

CPU = torch.device("cpu")


class Sum(CrossEncoder):
    """Scores a pair by the sum of its ids; `memory` tokens at most fit in one pass."""

    family, vocab_size, window = "sum", 100, 1000

    def __init__(self, memory: int = 10**9, error: Exception | None = None) -> None:
        super().__init__()
        self.memory, self.error = memory, error or MemoryError()
        self.passes: list[int] = []

    def forward(self, batch: PackedBatch) -> Tensor:
        self.passes.append(len(batch.lengths))
        if len(batch.token_ids) > self.memory:
            raise self.error
        return torch.stack([ids.sum().float() for ids in batch.token_ids.split(batch.lengths)])


def run(model: CrossEncoder, token_id_lists: Sequence[Sequence[int]]) -> list[float]:
    return run_passes(model, token_id_lists, device=CPU, token_budget=1000, max_sequences=64)


PAIRS = [[value] * 10 for value in range(1, 9)]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes. Error code 12"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_batch_that_does_not_fit_is_run_in_halves(error: Exception) -> None:
    """Until it does, and nothing shows in the result."""
    model = Sum(memory=25, error=error)

    assert [float(sum(ids)) for ids in PAIRS] == run(model, PAIRS)
    assert [8, 4, 2, 2, 4, 2, 2] == model.passes


def test_equal_pairs_are_scored_once_whoever_sent_them() -> None:
    """Lists of equal ids, too, which are not the same object; those of other order or length are others."""
    model = Sum()
    pairs = [[1, 2], [2, 1], [1, 2], [1, 2, 0], [1], [1, 2]]

    assert [3.0, 3.0, 3.0, 3.0, 1.0, 3.0, 3.0] == run(model, [*pairs, tuple(pairs[0])])
    assert [4] == model.passes


def test_a_single_pair_that_does_not_fit_is_out_of_memory() -> None:
    """With its length and what to do."""
    with pytest.raises(OutOfMemory, match="single pair of 10 tokens") as caught:
        run(Sum(memory=9), PAIRS)

    assert "RERANK_MAX_LENGTH" in str(caught.value.tip)


def test_other_errors_are_not_retried() -> None:
    """A bug is a bug on half the batch, too."""
    model = Sum(memory=1, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))

    with pytest.raises(RuntimeError, match="mat1"):
        run(model, PAIRS)
    assert [8] == model.passes


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_never_scores(bad: float) -> None:
    """The pairs are named."""

    class Broken(Sum):
        def forward(self, batch: PackedBatch) -> Tensor:
            logits = super().forward(batch)
            return torch.where(logits == 30, bad, logits)

    with pytest.raises(NotFinite, match=r"1 of 8 scores are NaN or infinite \(pairs 2\)"):
        run(Broken(), PAIRS)


def test_the_same_list_is_scored_once() -> None:
    """Equal documents of a request share one."""
    model = Sum()
    shared = [3, 4]

    assert [7.0, 5.0, 7.0, 7.0] == run(model, [shared, [5], shared, shared])
    assert [2] == model.passes


def test_nothing_to_score_is_no_pass() -> None:
    """And no error."""
    model = Sum()

    assert [] == run(model, [])
    assert [] == model.passes


def test_a_real_model_gives_the_same_logits_in_little_memory(
    config: Callable[..., Any], random_model: Callable[..., Any], random_pairs: Callable[..., Any]
) -> None:
    """Halving changes which pairs share a pass, not what they score."""
    model, _ = random_model(config())
    pairs = random_pairs(9, 30, 30, 4, 51)
    expected = run(model, pairs)

    class Tight(Sum):
        vocab_size = 150

        def forward(self, batch: PackedBatch) -> Tensor:
            if len(batch.lengths) > 1:
                raise MemoryError
            logits: Tensor = model(batch)
            return logits

    assert expected == pytest.approx(run(Tight(), pairs), abs=1e-12, rel=0)
