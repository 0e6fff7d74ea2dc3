"""Times models against each other: each in a process of its own, one request list at a time, turn and turn about.

Whatever else the machine does meanwhile then falls on all of them alike, and the ratio of two models in a round is
steadier than either's speed.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rerank_ops.comparison.sample import Request
from rerank_ops.errors import Unfinished

Report = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to compare.

    Attributes:
        label: how tables call it.
        folder: its files.
    """

    label: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found out about a model.

    Attributes:
        label: how tables call it.
        about: what the worker says of it: model, family, layers, parameters, window, random, device, precision, load_s.
        disk_bytes: config, weights and tokenizer.
        memory_bytes: peak resident memory of its process, Python and PyTorch included; None where unknown.
        gpu_memory_bytes: peak memory on the GPU; None without one.
        tokens_per_pair: mean, special tokens and query included.
        seconds: of each request, by round.
        cpu_s: processor time of all threads, by round; threads that wait for one another may count as well.
        pairs: in one round.
    """

    label: str
    about: dict[str, Any]
    disk_bytes: int
    memory_bytes: int | None
    gpu_memory_bytes: int | None
    tokens_per_pair: float
    seconds: tuple[tuple[float, ...], ...]
    cpu_s: tuple[float, ...]
    pairs: int

    @property
    def pairs_per_s(self) -> float:
        """In the median round."""
        return self.pairs / median(sum(round_) for round_ in self.seconds)

    @property
    def cpu_s_per_pair(self) -> float:
        """Processor time, in the round that took least."""
        return min(self.cpu_s) / self.pairs

    def latency_s(self, percent: int) -> float:
        """Percentile of a request's seconds, over all rounds."""
        flat = [seconds for round_ in self.seconds for seconds in round_]
        return quantiles(flat, n=100, method="inclusive")[percent - 1] if len(flat) > 1 else flat[0]

    def speed_against(self, first: "Measured") -> float:
        """How many times as fast as `first`: the median over rounds."""
        return median(sum(theirs) / sum(ours) for ours, theirs in zip(self.seconds, first.seconds, strict=True))


def measure(
    candidates: Sequence[Candidate], requests: Sequence[Request], *, rounds: int, report: Report
) -> list[Measured]:
    """Time the candidates on `requests`, `rounds` times after a warm-up.

    Raises:
        Unfinished: a model could not be loaded, or its process ended.
    """
    steps = len(candidates) * (rounds + 2)
    done = 0

    def step(note: str) -> None:
        nonlocal done
        report(done / steps, note)
        done += 1

    with ExitStack() as open_workers:
        workers: list[Worker] = []
        for candidate in candidates:
            step(f"loading {candidate.label}")
            workers.append(open_workers.enter_context(worker(candidate)))
        for one in workers:
            step(f"warming up {one.label}")
            one.ask(requests[:1])
        answers: list[list[dict[str, Any]]] = [[] for _ in workers]
        for number in range(1, rounds + 1):
            for one, answered in zip(workers, answers, strict=True):
                step(f"round {number} of {rounds}: {one.label}")
                answered.append(one.ask(requests))
        needed = [one.ask(None) for one in workers]
    pairs = sum(len(passages) for _, passages in requests)
    return [
        Measured(
            label=candidate.label,
            about=one.about,
            disk_bytes=disk_bytes(candidate.folder),
            memory_bytes=memory["memory_bytes"],
            gpu_memory_bytes=memory["gpu_memory_bytes"],
            tokens_per_pair=answered[0]["tokens"] / pairs,
            seconds=tuple(tuple(answer["seconds"]) for answer in answered),
            cpu_s=tuple(answer["cpu_s"] for answer in answered),
            pairs=pairs,
        )
        for candidate, one, answered, memory in zip(candidates, workers, answers, needed, strict=True)
    ]


class Worker:
    """The process of one model.

    Attributes:
        label: the model's.
        about: what it said of itself when it had loaded.
    """

    def __init__(self, label: str, process: "subprocess.Popen[str]") -> None:
        self.label, self._process = label, process
        self.about = self._answer()

    def ask(self, requests: Sequence[Request] | None) -> dict[str, Any]:
        """Its answer; see `worker.py`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(requests) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # why it ended is what it answered last, or its exit code
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise Unfinished(
                f"The process of {self.label} ended with exit code {code}.",
                tip="Code -9 is mostly the system, out of memory: compare fewer models at once." if code < 0 else None,
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Unfinished(f"{self.label}: {answer['error']}", tip=answer.get("tip"))
        return answer


@contextmanager
def worker(candidate: Candidate) -> Iterator[Worker]:
    """A worker that has loaded its model; its process is ended afterwards."""
    command = [sys.executable, "-m", "rerank_ops.comparison.worker", str(candidate.folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            yield Worker(candidate.label, process)
        finally:
            process.kill()


def disk_bytes(folder: Path) -> int:
    """Size of a model's own files: without the code that a bundle brings along."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
