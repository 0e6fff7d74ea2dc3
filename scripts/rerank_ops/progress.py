"""Progress for a person: a bar on a terminal, a plain line per change otherwise. On stderr, always."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rerank_ops import console

LEAST_S, MOST_S = 1.0, 10.0  # between two lines of work that advances in small steps
HEARTBEAT_S = 30.0  # without a terminal, an unchanged state is repeated this often


class Meter(Protocol):
    """What the work reports to: fraction done in 0..1 (None: unknown) and a word about it."""

    def __call__(self, fraction: float | None, note: str) -> None:
        """Says how far the work is."""


@contextmanager
def meter(label: str) -> Iterator[Meter]:
    """A meter that draws a bar on a terminal and prints lines elsewhere."""
    if not console.is_terminal(sys.stderr):
        yield lines(label)
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ModuleNotFoundError:
        yield lines(label)
        return

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(label, total=None, note="")

        def draw(fraction: float | None, note: str) -> None:
            progress.update(task, total=None if fraction is None else 1.0, completed=fraction or 0.0, note=note)

        yield draw


def lines(
    label: str, *, write: Callable[[str], None] = console.talk, clock: Callable[[], float] = time.monotonic
) -> Meter:
    """A meter of plain lines: one per change, and a heartbeat so that a log shows life."""
    started = clock()
    last: tuple[str, float] | None = None

    def report(fraction: float | None, note: str) -> None:
        nonlocal last
        text = note if fraction is None else f"{fraction:4.0%} {note}"
        now = clock()
        if last is None or last[0] != text or now - last[1] >= HEARTBEAT_S:
            write(f"{label}  {now - started:5.0f} s  {text}")
            last = (text, now)

    return report


class Pace:
    """Work that advances in small steps, told now and then with the time that is left.

    A step a second at most, later one every ten seconds: what takes hours does not fill a log. The first and the last
    are always told.

    Args:
        report: told the fraction and the note.
        clock: seconds.
    """

    def __init__(self, report: Meter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._report, self._clock = report, clock
        self._started: tuple[float, float] | None = None
        self._told = self._done = 0.0

    def __call__(self, done: float, of: float, note: str) -> None:
        """`done` of `of` is done."""
        now = self._clock()
        if self._started is None or done < self._done:  # the first, or a new round of the same work
            self._started = now, done
        elif done < of and now - self._told < min(MOST_S, max(LEAST_S, (now - self._started[0]) / 100)):
            self._done = done
            return
        self._told, self._done = now, done
        began, before = self._started
        left = (now - began) * (of - done) / (done - before) if done > before else None
        told = "" if left is None or done >= of else f", {duration(left)} left"
        self._report(done / of if of else 1.0, f"{note}{told}")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


@contextmanager
def step(label: str, timings: dict[str, float] | None = None) -> Iterator[None]:
    """Announces a step and says how long it took; `timings` keeps the seconds for a closing table."""
    console.talk(f"── {label}")
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    if timings is not None:
        timings[label] = seconds
    console.talk(f"   {seconds:.1f} s")
