"""The thread that owns the model, under faults. Nothing here sleeps: forward passes wait for the test's own word."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import pytest

from rerank_engine.errors import DeadlineExceeded, NotFinite, NotReady, Overloaded, RerankError
from rerank_engine.scheduler import Scheduler
from rerank_engine.settings import Settings

PATIENCE_S = 30.0
POISON = 13


class Gate:
    """A forward pass that waits to be let through. Records the passes as lists of first tokens."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)
        self.open = False
        self.error: BaseException | None = None

    def __call__(self, pairs: Sequence[Sequence[int]]) -> list[float]:
        self.passes.append([pair[0] for pair in pairs])
        self.entered.release()
        if not self.open:
            assert self.permits.acquire(timeout=PATIENCE_S)
        if self.error is not None:
            raise self.error
        if any(POISON in pair for pair in pairs):
            raise NotFinite("poisoned")
        return [float(pair[0]) for pair in pairs]

    def wait(self) -> None:
        """Until a pass has begun."""
        assert self.entered.acquire(timeout=PATIENCE_S)

    def let_go(self) -> None:
        """Let this pass and all later ones through."""
        self.open = True
        self.permits.release()


class Clock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.let_go()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(gate: Gate, clock: Clock) -> Iterator[Callable[..., Scheduler]]:
    """Schedulers over the gate and the clock; keywords are settings."""
    made: list[Scheduler] = []

    def make(**settings: object) -> Scheduler:
        made.append(Scheduler(gate, Settings(**settings), clock=clock))
        return made[-1]

    yield make
    gate.let_go()
    for scheduler in made:
        scheduler.drain(PATIENCE_S)


Make = Callable[..., Scheduler]


def pairs(*numbers: int, length: int = 4) -> list[list[int]]:
    return [[number] * length for number in numbers]


def test_scores_come_back_in_order(make: Make, gate: Gate) -> None:
    """Longest pairs are computed first, scores are in the caller's order."""
    gate.let_go()

    outcome = make().score([[1], [2, 2, 2], [3, 3]], deadline_s=60)

    assert [1.0, 2.0, 3.0] == outcome.scores
    assert [[2, 3, 1]] == gate.passes


def test_nothing_to_score_is_answered(make: Make, gate: Gate) -> None:
    """A call without pairs (every line of it was faulty) does not wait for ever."""
    outcome = make().score([], deadline_s=PATIENCE_S)

    assert [] == outcome.scores


def test_waiting_callers_share_the_next_pass(make: Make, gate: Gate) -> None:
    """Whoever comes while a pass runs is packed with the others into the next one."""
    scheduler = make()
    first = scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    others = [scheduler.submit(pairs(number), deadline_s=60) for number in (2, 3, 4)]
    gate.let_go()

    assert [[2.0], [3.0], [4.0]] == [job.future.result(PATIENCE_S).scores for job in others]
    assert [1.0] == first.future.result(PATIENCE_S).scores
    assert [[1], [2, 3, 4]] == gate.passes


def test_a_small_request_is_not_stuck_behind_a_large_one(make: Make, gate: Gate) -> None:
    """One document, sent while 5,000 wait, is in the very next pass."""
    scheduler = make(token_budget=64, max_batch_pairs=8)
    large = scheduler.submit(pairs(*[1] * 5000), deadline_s=60)
    gate.wait()
    small = scheduler.submit(pairs(2), deadline_s=60)
    gate.let_go()

    small.future.result(PATIENCE_S)
    assert 2 in gate.passes[1]
    assert 5000 == len(large.future.result(PATIENCE_S).scores)


def test_a_poisoned_pair_fails_alone(make: Make, gate: Gate) -> None:
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


def test_the_queue_is_bounded(make: Make, gate: Gate) -> None:
    """More callers than may wait are refused at once, with the seconds to wait before a retry."""
    scheduler = make(max_queued_requests=2)
    scheduler.submit(pairs(1), deadline_s=60)
    scheduler.submit(pairs(2), deadline_s=60)

    with pytest.raises(Overloaded) as caught:
        scheduler.submit(pairs(3), deadline_s=60)

    assert (503, 1) == (caught.value.status, caught.value.retry_after_s)


def test_a_late_request_is_dropped(make: Make, gate: Gate, clock: Clock) -> None:
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


def test_a_caller_does_not_wait_beyond_its_deadline(make: Make, gate: Gate) -> None:
    """Even when a forward pass never ends, the caller gets its error."""
    scheduler = make()
    scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()

    with pytest.raises(DeadlineExceeded):
        scheduler.score(pairs(2), deadline_s=0.001)


def test_a_cancelled_request_is_dropped(make: Make, gate: Gate) -> None:
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


def test_a_request_cancelled_while_computed_harms_nobody(make: Make, gate: Gate) -> None:
    """A caller may leave in the middle of its own pass."""
    scheduler = make()
    gone = scheduler.submit(pairs(1), deadline_s=60)
    gate.wait()
    gone.future.cancel()
    gate.let_go()

    assert [2.0] == scheduler.score(pairs(2), deadline_s=60).scores


def test_the_death_of_the_worker_reaches_every_caller(make: Make, gate: Gate) -> None:
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


def test_an_unexpected_error_is_an_answer_not_a_death(make: Make, gate: Gate) -> None:
    """A bug in the model costs the pair, not the server."""
    scheduler = make()
    gate.error = RuntimeError("device-side assert")
    gate.let_go()

    (failed,) = scheduler.score(pairs(1), deadline_s=60).scores
    gate.error = None

    assert isinstance(failed, RerankError)
    assert [2.0] == scheduler.score(pairs(2), deadline_s=60).scores


def test_a_stuck_forward_pass_is_noticed(make: Make, gate: Gate, clock: Clock) -> None:
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


def test_drain_finishes_what_was_accepted(make: Make, gate: Gate) -> None:
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


def test_queue_and_forward_times_are_told_apart(make: Make, gate: Gate, clock: Clock) -> None:
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


def test_passes_are_observed(gate: Gate, clock: Clock) -> None:
    """Pairs, tokens and seconds of each pass are told to whoever counts."""
    seen: list[tuple[int, int, float]] = []
    gate.let_go()
    scheduler = Scheduler(gate, Settings(), clock=clock, observe=lambda *numbers: seen.append(numbers))

    scheduler.score(pairs(1, 2, length=7), deadline_s=60)
    scheduler.drain(PATIENCE_S)

    assert [(2, 14, 0.0)] == seen


def test_many_callers_at_once(make: Make, gate: Gate) -> None:
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
