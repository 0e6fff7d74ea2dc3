"""The thread that owns the model when pairs, callers, passes or itself fail, and when it has to stop."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest

from rerank_engine.errors import DeadlineExceeded, NotFinite, NotReady, RerankError
from rerank_engine.service.scheduler import Scheduler

PATIENCE_S = 30.0
POISON = 13  # as in conftest
Make = Callable[..., Scheduler]


def pairs(*numbers: int, length: int = 4) -> list[list[int]]:
    return [[number] * length for number in numbers]


def test_a_poisoned_pair_fails_alone(make: Make, gate: Any) -> None:
    """Callers packed with a poisoned pair get their scores; only that pair is an error."""
    scheduler = make()
    scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    healthy = scheduler.submit(pairs(2, 3), deadline_s=60)
    poisoned = scheduler.submit(pairs(4, POISON), deadline_s=60)
    gate.let_go()

    assert [2.0, 3.0] == healthy.future.result(PATIENCE_S).scores
    fine, failed = poisoned.future.result(PATIENCE_S).scores
    assert 4.0 == fine
    assert isinstance(failed, NotFinite)


def test_a_late_request_is_dropped(make: Make, gate: Any, clock: Any) -> None:
    """What passed its deadline while it waited is not computed; the error says how much was not."""
    scheduler = make()
    scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    late = scheduler.submit(pairs(2, 3), deadline_s=5)
    clock.now = 6.0
    gate.let_go()

    with pytest.raises(DeadlineExceeded, match="2 of 2 pairs were not scored in 5 s"):
        late.future.result(PATIENCE_S)
    assert [[1]] == gate.passes


def test_a_caller_does_not_wait_beyond_its_deadline(make: Make, gate: Any) -> None:
    """Even when a forward pass never ends, the caller gets its error."""
    scheduler = make()
    scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()

    with pytest.raises(DeadlineExceeded):
        scheduler.score(pairs(2), deadline_s=0.001)


def test_a_cancelled_request_is_dropped(make: Make, gate: Any) -> None:
    """Pairs of a caller who has gone are not computed."""
    scheduler = make()
    scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    gone = scheduler.submit(pairs(2), deadline_s=60)
    last = scheduler.submit(pairs(3), deadline_s=60)
    gone.future.cancel()
    gate.let_go()

    assert [3.0] == last.future.result(PATIENCE_S).scores
    assert [[1], [3]] == gate.passes
    with pytest.raises(CancelledError):
        gone.future.result(PATIENCE_S)


def test_a_request_cancelled_while_computed_harms_nobody(make: Make, gate: Any) -> None:
    """A caller may leave in the middle of its own pass."""
    scheduler = make()
    gone = scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    gone.future.cancel()
    gate.let_go()

    assert [2.0] == scheduler.score(pairs(2), deadline_s=60).scores


def test_the_death_of_the_worker_reaches_every_caller(make: Make, gate: Any) -> None:
    """When the thread dies, those who wait are told, new callers are refused, and health knows."""
    scheduler = make()
    running = scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    waiting = scheduler.submit(pairs(2), deadline_s=60)
    gate.error = SystemExit("a library called exit")
    gate.let_go()

    for job in (running, waiting):
        with pytest.raises(NotReady, match="worker is dead"):
            job.future.result(PATIENCE_S)
    with pytest.raises(NotReady, match="worker is dead"):
        scheduler.submit(pairs(3), deadline_s=60)
    scheduler.join(PATIENCE_S)
    assert not scheduler.alive


def test_an_unexpected_error_is_an_answer_not_a_death(make: Make, gate: Any) -> None:
    """A bug in the model costs the pair, not the server."""
    scheduler = make()
    gate.error = RuntimeError("device-side assert")
    gate.let_go()

    (failed,) = scheduler.score(pairs(1), deadline_s=60).scores
    gate.error = None

    assert isinstance(failed, RerankError)
    assert [2.0] == scheduler.score(pairs(2), deadline_s=60).scores


def test_a_stuck_forward_pass_is_noticed(make: Make, gate: Any, clock: Any) -> None:
    """A pass that takes longer than any request may is a hung device; when it ends, all is well again."""
    scheduler = make(deadline_seconds=10.0)
    job = scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    before = scheduler.stuck
    clock.now = 11.0
    during = scheduler.stuck
    gate.let_go()
    job.future.result(PATIENCE_S)

    assert [False, True, False] == [before, during, scheduler.stuck]


def test_drain_finishes_what_was_accepted(make: Make, gate: Any) -> None:
    """Draining refuses new calls, computes the accepted ones and ends the worker."""
    scheduler = make()
    running = scheduler.submit(pairs(1), deadline_s=60)
    waiting = scheduler.submit(pairs(2), deadline_s=60)
    gate.wait()

    in_time = scheduler.drain(0.0)
    with pytest.raises(NotReady, match="shutting down"):
        scheduler.submit(pairs(3), deadline_s=60)
    gate.let_go()

    assert not in_time
    assert scheduler.drain(PATIENCE_S)
    assert [[1.0], [2.0]] == [job.future.result(PATIENCE_S).scores for job in (running, waiting)]
    scheduler.join(PATIENCE_S)
    assert not scheduler.alive
