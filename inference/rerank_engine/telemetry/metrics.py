"""Counters, gauges and histograms in Prometheus' text format, without its client: AWS's container does not have it.

https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4). New SageMaker endpoints scrape /metrics.
"""

import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
RATIOS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
SIZES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)

Labels = tuple[tuple[str, str], ...]


class Metric:
    """One metric of one name, with a series per set of label values. Thread-safe."""

    kind = "untyped"

    def __init__(self, name: str, help_text: str) -> None:
        self.name = name
        self.help_text = help_text
        self._lock = threading.Lock()

    def samples(self) -> list[tuple[str, Labels, float]]:
        """(suffix of the name, labels, value) of each series."""
        raise NotImplementedError


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, help_text: str) -> None:
        super().__init__(name, help_text)
        self._values: dict[Labels, float] = {}

    def add(self, amount: float = 1.0, **labels: str) -> None:
        """Add `amount`, not negative, to the series of these labels."""
        key = tuple(labels.items())
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + amount

    def samples(self) -> list[tuple[str, Labels, float]]:
        """One sample a series."""
        with self._lock:
            return [("", labels, value) for labels, value in self._values.items()]


class Gauge(Metric):
    """A number that is asked for when it is read."""

    kind = "gauge"

    def __init__(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        super().__init__(name, help_text)
        self._read = read

    def samples(self) -> list[tuple[str, Labels, float]]:
        """The present value."""
        return [("", (), float(self._read()))]


class Histogram(Metric):
    """How often values fell under each bound; bounds are inclusive."""

    kind = "histogram"

    def __init__(self, name: str, help_text: str, bounds: Sequence[float]) -> None:
        super().__init__(name, help_text)
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def samples(self) -> list[tuple[str, Labels, float]]:
        """Cumulative buckets, sum and count."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        samples: list[tuple[str, Labels, float]] = []
        reached = 0
        for bound, count in zip((*map(_number, self._bounds), "+Inf"), counts, strict=True):
            reached += count
            samples.append(("_bucket", (("le", bound),), reached))
        return [*samples, ("_sum", (), total), ("_count", (), reached)]


def resident_bytes() -> float:
    """This process' resident memory, in bytes; 0 where the system does not tell."""
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0.0


def exposition(metrics: Sequence[Metric]) -> str:
    """All metrics as one page of text."""
    lines: list[str] = []
    for metric in metrics:
        help_text = metric.help_text.replace("\\", r"\\").replace("\n", r"\n")
        lines += [f"# HELP {metric.name} {help_text}", f"# TYPE {metric.name} {metric.kind}"]
        for suffix, labels, value in metric.samples():
            shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
            lines.append(f"{metric.name}{suffix}{'{' + shown + '}' if shown else ''} {_number(value)}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
