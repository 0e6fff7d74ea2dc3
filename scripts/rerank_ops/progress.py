"""Progress for a person: a bar on a terminal, a plain line per change otherwise. On stderr, always."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rerank_ops import console

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
