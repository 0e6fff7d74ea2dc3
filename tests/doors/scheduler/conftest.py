"""For the scheduler's tests: a forward pass and a clock that only the test moves."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from rerank_engine.errors import NotFinite
from rerank_engine.service.scheduler import Scheduler
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
