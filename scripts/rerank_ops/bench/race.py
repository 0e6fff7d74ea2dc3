"""Engines against each other: request by request, in turn and turn about, so that a busy machine slows all alike."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rerank_ops.bench.peers import OURS
from rerank_ops.bench.workload import Request, Workload
from rerank_ops.errors import Unfinished

# What rerank_engine sets in its own process, the parent's included. Others run as their users run them: without it.
_OUR_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
Report = Callable[[float | None, str], None]


@dataclass(slots=True)
class Lane:
    """How an engine did.

    Attributes:
        name: of the engine.
        load_s: seconds of importing and loading.
        seconds: of each request.
        cpu_s: processor time of each request, all threads together.
        logits: of each request.
        peak_bytes: largest resident memory of its process, Python included.
    """

    name: str
    load_s: float = 0.0
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    logits: list[list[float]] = field(default_factory=list)
    peak_bytes: int = 0


class Contestant:
    """An engine's process."""

    def __init__(self, name: str, folder: Path, *, max_length: int, threads: int) -> None:
        self.lane = Lane(name)
        command = [sys.executable, "-m", "rerank_ops.bench.contestant", name, str(folder), str(max_length)]
        self._said = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by stop()
        self._process = subprocess.Popen(
            [*command, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={key: value for key, value in os.environ.items() if name in OURS or key not in _OUR_SETTINGS},
            text=True,
        )

    def start(self) -> None:
        """Wait until it is loaded.

        Raises:
            CannotRun: it cannot be loaded here, or its process died.
        """
        self.lane.load_s = float(self._reply()["ready"])

    def run(self, request: Request, *, keep: bool = True) -> None:
        """Score a request; a warm-up is not kept.

        Raises:
            CannotRun: it cannot score here, or its process died.
        """
        reply = self._ask(request)
        if keep:
            self.lane.seconds.append(reply["seconds"])
            self.lane.cpu_s.append(reply["cpu_s"])
            self.lane.logits.append(reply["logits"])

    def stop(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()
        self._process.wait()
        self._said.close()

    def finish(self) -> Lane:
        """What it did, its memory included.

        Raises:
            CannotRun: its process died.
        """
        self.lane.peak_bytes = int(self._ask(None)["peak_bytes"])
        return self.lane

    def _ask(self, request: Request | None) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise CannotRun(str(reply["error"]))
        return reply

    def _died(self) -> "CannotRun":
        code = self._process.wait()
        self._said.seek(0)
        last = self._said.read().strip().splitlines()[-1:] or ["It said nothing."]
        return CannotRun(f"its process ended with exit code {code}: {last[0]}")


class CannotRun(Unfinished):
    """An engine does not run on this machine, or ended before it had answered."""


def race(
    names: Sequence[str],
    folder: Path,
    workload: Workload,
    *,
    max_length: int,
    threads: int,
    rounds: int,
    report: Report,
) -> tuple[list[Lane], dict[str, str]]:
    """Time every engine on every request, `rounds` times; and which engines could not run, and why.

    An engine that fails leaves the race, at whatever point; what the others do is kept.
    """
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        running: list[Contestant] = []

        def still(contestant: Contestant, work: Callable[[], object]) -> bool:
            try:
                work()
            except CannotRun as error:
                missing[contestant.lane.name] = str(error)
                return False
            return True

        for name in names:
            report(None, f"loading {name}")
            contestant = Contestant(name, folder, max_length=max_length, threads=threads)
            stack.callback(contestant.stop)
            if still(contestant, contestant.start):
                running.append(contestant)
        query, documents = workload.requests[0]
        for contestant in [*running]:
            report(None, f"warming {contestant.lane.name}")
            if not still(contestant, partial(contestant.run, (query, documents[:4]), keep=False)):
                running.remove(contestant)
        turns = workload.requests * rounds
        for turn, request in enumerate(turns):
            shift = turn % max(1, len(running))
            for place, contestant in enumerate(running[shift:] + running[:shift]):
                report((turn + place / len(running)) / len(turns), contestant.lane.name)
                if not still(contestant, partial(contestant.run, request)):
                    running.remove(contestant)
        return [one.lane for one in running if still(one, one.finish)], missing
