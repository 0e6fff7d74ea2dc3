"""Our server through HTTP on this machine: callers who ask for one document after another, ever more at a time."""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rerank_ops.bench.http_client import Client
from rerank_ops.bench.workload import Request
from rerank_ops.errors import Unfinished
from rerank_ops.serving import HOST, server_environment, server_script

_POLL_S = 0.01
_START_S = 60.0
_ROUNDS = 3  # of all levels, in turn: a busy moment slows each of them


@dataclass(frozen=True, slots=True)
class Level:
    """What callers saw at one concurrency.

    Attributes:
        callers: how many asked at once, each waiting for its answer before it asks again.
        per_s: answers a second.
        p50_ms: of an answer; and so on.
    """

    callers: int
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Served:
    """How the server did.

    Attributes:
        start_s: from the process's start to the first 200 on /ping; the median of several starts.
        peak_bytes: largest resident memory.
        levels: by concurrency.
    """

    start_s: float
    peak_bytes: int
    levels: tuple[Level, ...]

    @property
    def gain(self) -> float:
        """Answers a second of the most callers over those of a single one: what packing requests together gives."""
        return self.levels[-1].per_s / self.levels[0].per_s


def measure(
    folder: Path,
    requests: Sequence[Request],
    *,
    precision: str,
    callers: Sequence[int],
    seconds: float,
    starts: int = 1,
    device: str = "cpu",
) -> Served:
    """Start the server of `folder` `starts` times; ask the last for one document a request, `seconds` long per level.

    Raises:
        Unfinished: it does not come up, or answers anything but 200.
    """
    bodies = [
        json.dumps({"query": query, "documents": [document], "return_documents": False}).encode()
        for query, documents in requests
        for document in documents
    ]
    env = {"RERANK_PRECISION": precision, "RERANK_DEVICE": device}
    taken: list[float] = []
    for _ in range(starts - 1):
        with serving(folder, env) as (_, start_s):
            taken.append(start_s)
    with serving(folder, env) as (port, start_s):
        levels, peak_bytes = asyncio.run(_measure(port, bodies, callers, seconds))
        return Served(statistics.median([*taken, start_s]), peak_bytes, levels)


@contextmanager
def serving(folder: Path, settings: dict[str, str]) -> Iterator[tuple[int, float]]:
    """A server of the model in `folder`, healthy: its port, and the seconds it took to be.

    Raises:
        Unfinished: it does not come up.
    """
    with socket.create_server((HOST, 0)) as probe:
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="rerank-bench-") as scratch, (Path(scratch) / "log").open("wb") as log:
        env = server_environment(folder, port, os.environ) | settings
        command = [sys.executable, "-I", str(server_script(folder))]
        started = time.perf_counter()
        server = subprocess.Popen(command, env=env, cwd=scratch, stdout=log, stderr=log)
        try:
            asyncio.run(_healthy(port, server, started))
            yield port, time.perf_counter() - started
        finally:
            server.terminate()
            server.wait()


async def _healthy(port: int, server: "subprocess.Popen[bytes]", started: float) -> None:
    client = Client(HOST, port)
    while await client.status("/ping") != 200:
        if server.poll() is not None or time.perf_counter() - started > _START_S:
            raise Unfinished("The server did not come up.", tip="`rerank serve` on the same model says why.")
        await asyncio.sleep(_POLL_S)


async def _measure(
    port: int, bodies: Sequence[bytes], callers: Sequence[int], seconds: float
) -> tuple[tuple[Level, ...], int]:
    client = Client(HOST, port)
    for body in bodies[:8]:
        await _ask(client, body)
    took: dict[int, list[float]] = {count: [] for count in callers}
    passed = dict.fromkeys(callers, 0.0)
    for _ in range(_ROUNDS):
        for count in callers:
            began = time.perf_counter()
            took[count] += await _round(client, bodies, count, seconds / _ROUNDS)
            passed[count] += time.perf_counter() - began
    return tuple(_level(count, took[count], passed[count]) for count in callers), await _peak_bytes(client)


async def _round(client: Client, bodies: Sequence[bytes], callers: int, seconds: float) -> list[float]:
    took: list[float] = []
    began = time.perf_counter()

    async def caller(first: int) -> None:
        place = first
        while time.perf_counter() - began < seconds:
            asked = time.perf_counter()
            await _ask(client, bodies[place % len(bodies)])
            took.append(time.perf_counter() - asked)
            place += callers

    await asyncio.gather(*(caller(first) for first in range(callers)))
    return took


def _level(callers: int, took: Sequence[float], seconds: float) -> Level:
    ordered = sorted(took)
    p50, p95, p99 = (1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99))
    return Level(callers, len(took) / seconds, p50, p95, p99)


async def _ask(client: Client, body: bytes) -> None:
    status, _, answer = await client.post("/invocations", body)
    if status != 200:
        raise Unfinished(f"The server answered {status}: {answer[:200].decode(errors='replace')}")


async def _peak_bytes(client: Client) -> int:
    page = (await client.get("/metrics"))[2].decode()
    resident = [line.split()[1] for line in page.splitlines() if line.startswith("process_resident_memory_bytes ")]
    return int(float(resident[0])) if resident else 0
