"""How a failing batch is retried, and the engine without a scheduler."""

from collections.abc import Sequence
from itertools import chain, repeat

import pytest

from rerank_engine.errors import DeadlineExceeded, NotFinite, OutOfMemory, RerankError
from rerank_engine.service.scoring import DirectScorer, Engine, as_rerank_error, isolate
from rerank_engine.settings import Settings

POISON = 13


class Forward:
    """Scores a pair by its first token; fails when a batch holds the poison, or more pairs than the memory."""

    def __init__(self, *, memory_pairs: int = 1000, error: type[Exception] = NotFinite) -> None:
        self.passes: list[int] = []
        self._memory_pairs = memory_pairs
        self._error = error

    def __call__(self, pairs: Sequence[Sequence[int]]) -> list[float]:
        self.passes.append(len(pairs))
        if len(pairs) > self._memory_pairs:
            raise MemoryError
        if any(POISON in pair for pair in pairs):
            raise self._error("poisoned")
        return [float(pair[0]) for pair in pairs]


def test_a_healthy_batch_is_one_pass() -> None:
    """Nothing is retried that did not fail."""
    forward = Forward()

    assert [1.0, 2.0, 3.0] == isolate(forward, [[1], [2], [3]])
    assert [3] == forward.passes


@pytest.mark.parametrize("error", [NotFinite, RuntimeError, ValueError])
def test_a_poisoned_pair_fails_alone(error: type[Exception]) -> None:
    """All pairs but the one at fault get their scores, whatever the fault."""
    pairs = [[number] for number in range(20)]

    scores = isolate(Forward(error=error), pairs)

    assert [float(number) for number in range(20) if number != POISON] == [s for s in scores if isinstance(s, float)]
    assert isinstance(scores[POISON], RerankError)


def test_out_of_memory_is_halved_away() -> None:
    """A batch too large for the memory is scored in parts, and nobody notices."""
    forward = Forward(memory_pairs=4)

    scores = isolate(forward, [[number] for number in range(10)])

    assert [float(number) for number in range(10)] == scores


def test_a_broken_model_is_not_tried_pair_by_pair() -> None:
    """After 32 single failures the rest fails without being tried."""
    forward = Forward()

    scores = isolate(forward, [[POISON]] * 4096)

    assert 4096 == sum(isinstance(score, NotFinite) for score in scores)
    assert len(forward.passes) < 100


def test_no_pairs_no_pass() -> None:
    """An empty list is not worth a pass."""
    forward = Forward()

    assert [] == isolate(forward, [])
    assert [] == forward.passes


def test_unforeseen_errors_tell_callers_no_details() -> None:
    """What an unexpected exception says stays in the log; its kind goes out."""
    error = as_rerank_error(RuntimeError("secret path /opt/x"))

    assert (500, "Internal error: RuntimeError.") == (error.status, error.message)


def test_memory_errors_are_told_apart() -> None:
    """Python's and torch's own out-of-memory errors become ours, with its 503."""
    torchs = type("OutOfMemoryError", (RuntimeError,), {})

    errors = [as_rerank_error(MemoryError()), as_rerank_error(torchs("CUDA out of memory"))]

    assert [OutOfMemory, OutOfMemory] == [type(error) for error in errors]


def test_direct_scorer_keeps_the_order_and_the_budget(engine: Engine) -> None:
    """Pairs come back in the caller's order, scored in slices of one token budget."""
    pairs = [[1] * length for length in (3, 16, 5, 16, 1)]

    outcome = DirectScorer(engine, Settings(token_budget=20)).score(pairs, deadline_s=60)

    assert [0.3, 1.6, 0.5, 1.6, 0.1] == outcome.scores
    assert [1, 1, 3] == engine.passes


def test_direct_scorer_keeps_the_deadline(engine: Engine) -> None:
    """Between two slices the deadline is looked at, and the error says how much was left."""
    ticks = chain([0.0] * 4, repeat(99.0))  # the first slice takes 99 s by the next look

    with pytest.raises(DeadlineExceeded, match="1 of 2 pairs"):
        DirectScorer(engine, Settings(token_budget=16), clock=lambda: next(ticks)).score([[1] * 16] * 2, deadline_s=1)
