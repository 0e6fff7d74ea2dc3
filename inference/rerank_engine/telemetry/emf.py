"""CloudWatch's Embedded Metric Format: log lines that CloudWatch Logs makes metrics of; no agent, no API call.

They travel with the container's standard output, also under network isolation.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Samples are gathered for some seconds: a line has at most 100 values of one metric, and percentiles stay exact.
"""

import threading
import time
from collections.abc import Callable, Mapping

_MOST_VALUES = 100
UNITS: Mapping[str, str] = {
    "Requests": "Count",
    "Pairs": "Count",
    "Tokens": "Count",
    "TruncatedDocuments": "Count",
    "CacheHits": "Count",
    "CacheMisses": "Count",
    "Errors": "Count",
    "QueueTime": "Milliseconds",
    "TokenizeTime": "Milliseconds",
    "ForwardTime": "Milliseconds",
    "TotalTime": "Milliseconds",
    "BatchPairs": "Count",
    "BatchFill": "Percent",
}
Line = Mapping[str, object]


class EmbeddedMetrics:
    """Gathers samples and writes them as lines. Thread-safe.

    Args:
        namespace: CloudWatch namespace.
        write: takes one line, as a JSON object.
        every_s: seconds that samples are gathered; 0 writes at each `flush_if_due`.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        namespace: str,
        write: Callable[[Line], None],
        *,
        every_s: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.model = ""
        self._namespace = namespace
        self._write = write
        self._every_s = every_s
        self._clock = clock
        self._flushed = clock()
        self._counts: dict[str, float] = {}
        self._errors: dict[str, int] = {}
        self._samples: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def count(self, **amounts: float) -> None:
        """Add to counters, by the names of UNITS."""
        with self._lock:
            for name, amount in amounts.items():
                self._counts[name] = self._counts.get(name, 0) + amount

    def error(self, code: str) -> None:
        """Count one error of a kind."""
        with self._lock:
            self._errors[code] = self._errors.get(code, 0) + 1

    def sample(self, **values: float) -> None:
        """Note one value of each of these."""
        with self._lock:
            full = False
            for name, value in values.items():
                noted = self._samples.setdefault(name, [])
                noted.append(round(value, 3))
                full = full or len(noted) >= _MOST_VALUES
        if full:
            self.flush()

    def flush_if_due(self) -> None:
        """Write what was gathered, once its time has come."""
        if self._clock() - self._flushed >= self._every_s:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered, if anything."""
        with self._lock:
            counts, errors, samples = self._counts, self._errors, self._samples
            self._counts, self._errors, self._samples = {}, {}, {}
            self._flushed = self._clock()
        if counts or samples:
            self._write(self._line({**counts, **samples}))
        for code, number in errors.items():
            self._write(self._line({"Errors": number}, Code=code))

    def _line(self, values: Mapping[str, object], **dimensions: str) -> Line:
        named = {"Model": self.model or "unknown", **dimensions}
        metrics = [{"Name": name, "Unit": UNITS[name]} for name in values]
        directive = {"Namespace": self._namespace, "Dimensions": [list(named)], "Metrics": metrics}
        about = {"Timestamp": int(self._clock() * 1000), "CloudWatchMetrics": [directive]}
        return {"_aws": about, **named, **values}
