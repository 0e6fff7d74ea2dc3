"""Whose turn it is: every waiting call moves on, however many and however long the others are."""

from collections.abc import Callable
from typing import Any

from rerank_engine.service.scheduler import Scheduler

PATIENCE_S = 30.0
Make = Callable[..., Scheduler]
LONG = 64  # tokens: as many as one pass takes


def pairs(*numbers: int, length: int) -> list[list[int]]:
    return [[number] * length for number in numbers]


def test_long_requests_take_turns(make: Make, gate: Any) -> None:
    """Of three calls whose pairs fill a pass alone, each gets every third pass; the oldest does not go first."""
    scheduler = make(token_budget=LONG, max_batch_pairs=8)
    scheduler.submit(pairs(99, length=1), deadline_s=60)
    gate.wait()
    jobs = [scheduler.submit(pairs(*[number] * 4, length=LONG), deadline_s=60) for number in (1, 2, 3)]
    gate.let_go()
    for job in jobs:
        job.future.result(PATIENCE_S)

    turns = [taken[0] for taken in gate.passes[1:]]
    assert 12 == len(turns)
    assert [{1, 2, 3}] * 4 == [set(turns[start : start + 3]) for start in range(0, 12, 3)]
