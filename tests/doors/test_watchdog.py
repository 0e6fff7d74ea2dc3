"""Beyond recovery: a hung pass, a dead worker; and what is not done in time when the server ends."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from rerank_engine.errors import NotReady
from rerank_engine.hosting import Hosting
from rerank_engine.server.life import Life
from rerank_engine.server.watchdog import Watchdog
from rerank_engine.service.scheduler import Scheduler
from rerank_engine.settings import Settings

PATIENCE_S = 30.0


class Hanging:
    """Makes the forward passes of an engine hang, or die, once the model is loaded."""

    def __init__(self, engine: Any) -> None:
        self.entered, self.permit = threading.Event(), threading.Event()
        self.dies = False
        engine.check_canary = lambda: 0.0
        engine.forward = self

    def __call__(self, pairs: Sequence[Sequence[int]], /) -> list[float]:
        self.entered.set()
        assert self.permit.wait(PATIENCE_S)
        if self.dies:
            raise SystemExit("a library called exit")
        return [1.0] * len(pairs)


@pytest.fixture
def hanging(engine: Any) -> Iterator[Hanging]:
    hanging = Hanging(engine)
    yield hanging
    hanging.permit.set()


Watched = Callable[..., tuple[Life, Scheduler, Watchdog, list[str]]]


@pytest.fixture
def watched(engine: Any, hanging: Hanging) -> Watched:
    """A loaded life, its scheduler, a watchdog and what the watchdog did; keywords are settings."""

    def make(**settings: object) -> tuple[Life, Scheduler, Watchdog, list[str]]:
        life = Life(Settings(**settings), Hosting(), lambda: engine)
        life.start()
        life.join()
        done: list[str] = []
        return life, life.serving()[1], Watchdog(life, lambda: done.append("ended")), done

    return make


def test_a_hung_pass_is_given_up(watched: Watched, hanging: Hanging, until: Callable[..., Any]) -> None:
    """A pass beyond the limit fails the health check with the reason, and ends the server once."""
    life, scheduler, watchdog, done = watched(hang_exit_seconds=0.001)
    idle = watchdog.check()
    scheduler.submit([[1]], deadline_s=60)
    assert hanging.entered.wait(PATIENCE_S)
    until(lambda: life.pass_s > 0.001, "the pass has taken longer than allowed")

    assert [False, True, True] == [idle, watchdog.check(), watchdog.check()]
    assert ["ended"] == done
    assert (life.trouble() or "").startswith("Giving up: a forward pass has taken")


def test_a_slow_pass_is_not(watched: Watched, hanging: Hanging) -> None:
    """Below the limit, or with the limit switched off, the server waits."""
    life, scheduler, watchdog, done = watched(hang_exit_seconds=0.0)
    scheduler.submit([[1]], deadline_s=60)
    assert hanging.entered.wait(PATIENCE_S)

    assert (False, []) == (watchdog.check(), done)
    assert life.trouble() is None


def test_a_dead_worker_is_given_up(watched: Watched, hanging: Hanging) -> None:
    """When the model's thread has died, callers hear of it and the process ends, to be started anew."""
    life, scheduler, watchdog, done = watched()
    hanging.dies = True
    job = scheduler.submit([[1]], deadline_s=60)
    hanging.permit.set()
    with pytest.raises(NotReady):
        job.future.result(PATIENCE_S)
    scheduler.join(PATIENCE_S)

    assert (True, ["ended"]) == (watchdog.check(), done)
    assert "Giving up: the model's worker is dead." == life.trouble()


def test_shutting_down_is_not_dying(watched: Watched, hanging: Hanging) -> None:
    """A server that drains is left alone: its worker ends by intent."""
    life, scheduler, watchdog, done = watched()
    hanging.permit.set()
    life.end()
    scheduler.join(PATIENCE_S)

    assert (False, []) == (watchdog.check(), done)


def test_what_is_not_done_in_time_is_answered(watched: Watched, hanging: Hanging) -> None:
    """Shortly before the drain ends, calls that still wait get a 503 with Retry-After instead of silence."""
    life, scheduler, _, _ = watched()
    jobs = [scheduler.submit([[number]], deadline_s=60) for number in (1, 2)]
    assert hanging.entered.wait(PATIENCE_S)

    life.abandon()

    for job in jobs:
        with pytest.raises(NotReady, match="shutting down") as caught:
            job.future.result(PATIENCE_S)
        assert (503, 5) == (caught.value.status, caught.value.retry_after_s)
    hanging.permit.set()
    scheduler.join(PATIENCE_S)
    assert not scheduler.alive
