"""The thread that owns the model. Nothing here sleeps: forward passes wait for the test's own word."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rerank_engine.errors import Overloaded
from rerank_engine.service.scheduler import Scheduler
from rerank_engine.settings import Settings

PATIENCE_S = 30.0
Make = Callable[..., Scheduler]


def pairs(*numbers: int, length: int = 4) -> list[list[int]]:
    return [[number] * length for number in numbers]


def test_scores_come_back_in_order(make: Make, gate: Any) -> None:
    """Longest pairs are computed first, scores are in the caller's order."""
    gate.let_go()

    outcome = make().score([[1], [2, 2, 2], [3, 3]], deadline_s=60)

    assert [1.0, 2.0, 3.0] == outcome.scores
    assert [[2, 3, 1]] == gate.passes


def test_nothing_to_score_is_answered(make: Make, gate: Any) -> None:
    """A call without pairs (every line of it was faulty) does not wait for ever."""
    outcome = make().score([], deadline_s=PATIENCE_S)

    assert [] == outcome.scores


def test_waiting_callers_share_the_next_pass(make: Make, gate: Any) -> None:
    """Whoever comes while a pass runs is packed with the others into the next one."""
    scheduler = make()
    first = scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    others = [scheduler.submit(pairs(number), deadline_s=60) for number in (2, 3, 4)]
    gate.let_go()

    assert [[2.0], [3.0], [4.0]] == [job.future.result(PATIENCE_S).scores for job in others]
    assert [1.0] == first.future.result(PATIENCE_S).scores
    assert [[1], [2, 3, 4]] == gate.passes


def test_a_small_request_is_not_stuck_behind_a_large_one(make: Make, gate: Any) -> None:
    """One document, sent while 5,000 wait, is in the very next pass."""
    scheduler = make(token_budget=64, max_batch_pairs=8)
    large = scheduler.submit(pairs(*[1] * 5000), deadline_s=60)
    gate.wait()
    small = scheduler.submit(pairs(2), deadline_s=60)
    gate.let_go()

    small.future.result(PATIENCE_S)
    assert 2 in gate.passes[1]
    assert 5000 == len(large.future.result(PATIENCE_S).scores)


def test_the_queue_is_bounded(make: Make, gate: Any) -> None:
    """More callers than may wait are refused at once, with the seconds to wait before a retry."""
    scheduler = make(max_queued_requests=2)
    scheduler.submit(pairs(1), deadline_s=60)
    scheduler.submit(pairs(2), deadline_s=60)

    with pytest.raises(Overloaded) as caught:
        scheduler.submit(pairs(3), deadline_s=60)

    assert (503, 1) == (caught.value.status, caught.value.retry_after_s)


def test_queue_and_forward_times_are_told_apart(make: Make, gate: Any, clock: Any) -> None:
    """Time before the first pass is queue, from then on forward."""
    scheduler = make()
    scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    job = scheduler.submit(pairs(2), deadline_s=60)
    clock.now = 3.0
    gate.permits.release()
    gate.wait()
    clock.now = 8.0
    gate.let_go()

    outcome = job.future.result(PATIENCE_S)
    assert (3.0, 5.0) == (outcome.queue_s, outcome.forward_s)


def test_passes_are_observed(gate: Any, clock: Any) -> None:
    """Pairs, tokens and seconds of each pass are told to whoever counts."""
    seen: list[tuple[int, int, float]] = []
    gate.let_go()
    scheduler = Scheduler(gate, Settings(), clock=clock, observe=lambda *numbers: seen.append(numbers))

    scheduler.score(pairs(1, 2, length=7), deadline_s=60)
    scheduler.drain(PATIENCE_S)

    assert [(2, 14, 0.0)] == seen


def test_many_callers_at_once(make: Make, gate: Any) -> None:
    """Callers from many threads all get their own scores."""
    scheduler = make(token_budget=64)
    gate.let_go()
    answers: dict[int, Sequence[object]] = {}

    def call(number: int) -> None:
        answers[number] = scheduler.score(pairs(number, number + 100), deadline_s=60).scores

    threads = [threading.Thread(target=call, args=(number,)) for number in range(20, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert {number: [number, number + 100] for number in range(20, 60)} == answers
