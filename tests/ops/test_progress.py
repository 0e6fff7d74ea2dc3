"""Progress says how long it will take, and neither keeps silent nor fills a log."""

from itertools import pairwise

import pytest

from rerank_ops.progress import Pace, duration


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def told(step_s: float, steps: int) -> list[tuple[float, float, str]]:
    """When, how far and what is told of steps that take as long each."""
    clock, found = Clock(), []
    pace = Pace(lambda fraction, note: found.append((clock.now - 100, float(fraction or 0), note)), clock=clock)
    for done in range(steps + 1):
        pace(done, steps, f"step {done}")
        clock.now += step_s
    return found


def test_slow_steps_are_each_told_with_the_time_left() -> None:
    """After the first step the rate is known; at the end nothing is left."""
    found = told(20.0, 4)

    assert ["step 0", "step 1, 1 min 00 s left", "step 2, 40 s left", "step 3, 20 s left", "step 4"] == [
        note for _, _, note in found
    ]
    assert [0, 0.25, 0.5, 0.75, 1] == [fraction for _, fraction, _ in found]


@pytest.mark.parametrize(("step_s", "steps"), [(0.01, 500), (0.05, 6000), (0.5, 100_000)])
def test_quick_steps_are_told_each_second_and_later_each_ten(step_s: float, steps: int) -> None:
    """Never silent for longer, and never more than a few lines a minute after a while; first and last are told."""
    found = told(step_s, steps)

    gaps = [later - earlier for (earlier, *_), (later, *_) in pairwise(found)]
    assert (0.0, 1.0) == (found[0][1], found[-1][1])
    assert max(gaps) <= 10 + step_s + 1e-6
    assert min(gaps[:-1]) >= 1 - 1e-6
    assert max(gap for gap, (at, *_) in zip(gaps, found, strict=False) if at < 60) < 1 + 2 * step_s
    assert len(found) < 2000 + steps * step_s / 9


def test_work_that_begins_anew_is_timed_anew() -> None:
    """The second evaluation's time left is not reckoned from the first."""
    clock, found = Clock(), []
    pace = Pace(lambda fraction, note: found.append(note), clock=clock)
    for done in (0, 1, 2):
        pace(done, 2, "round")
        clock.now += 5
    clock.now += 1000
    for done in (0, 1):
        pace(done, 2, "round")
        clock.now += 5

    assert ["round", "round, 5 s left", "round", "round", "round, 5 s left"] == found


def test_durations_are_read_at_a_glance() -> None:
    """Seconds, minutes, hours."""
    assert ["40 s", "3 min 20 s", "2 h 05 min"] == [duration(seconds) for seconds in (40.2, 200, 7500)]
