"""Log lines as JSON on standard output: one object a line, sizes and timings, no query text unless it is asked for.

CloudWatch Logs Insights discovers the fields of such lines by itself. A full disk or a slow reader must not stop a
request: lines are written by a thread of their own, and when 10,000 wait, new ones are dropped.
"""

import contextlib
import json
import logging
import logging.handlers
import queue
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

LOGGER = logging.getLogger("rerank")
METRICS = logging.getLogger("rerank.metrics")  # written whatever the log level
_MOST_WAITING = 10_000


def event(
    name: str,
    fields: Mapping[str, object] | None = None,
    *,
    level: int = logging.INFO,
    trace: BaseException | None = None,
) -> None:
    """Log one thing that happened, with its numbers; `trace` adds an error's traceback."""
    LOGGER.log(level, name, exc_info=trace, extra={"fields": fields or {}})


def metrics(fields: Mapping[str, object]) -> None:
    """Write a line of metrics (see emf.py)."""
    METRICS.info("metrics", extra={"fields": fields})


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, event, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Dropping(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # stays in this process: nothing has to be made picklable


def configure(level: str, stream: TextIO | None = None) -> logging.handlers.QueueListener:
    """Send our lines, and uvicorn's warnings, to `stream` (standard output); `stop()` the result to flush."""
    logging.raiseExceptions = False
    writer = logging.StreamHandler(stream or sys.stdout)
    writer.setFormatter(JsonFormatter())
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(_MOST_WAITING)
    listener = logging.handlers.QueueListener(waiting, writer)
    for logger, least in ((LOGGER, level.upper()), (logging.getLogger("uvicorn"), "WARNING")):
        logger.handlers = [_Dropping(waiting)]
        logger.setLevel(least)
        logger.propagate = False
    METRICS.setLevel(logging.INFO)
    listener.start()
    return listener


def container_stdout() -> TextIO:
    """Standard output of the container's first process: what SageMaker sends to CloudWatch, as it is.

    Behind AWS's toolkit our own standard output goes through Java's log, which puts words before each line: no JSON.
    """
    try:
        return Path("/proc/1/fd/1").open("a", encoding="utf-8")
    except OSError:
        return sys.stdout
