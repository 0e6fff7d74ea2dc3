"""Our server through HTTP on this machine: callers who ask for one document after another, ever more at a time."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rerank_ops.bench.http_client import Client
from rerank_ops.bench.workload import Request
from rerank_ops.errors import Unfinished
from rerank_ops.serving import HOST, server_environment, server_script

_POLL_S = 0.02
_START_S = 60.0


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
        start_s: from the process's start to the first 200 on /ping.
        peak_bytes: largest resident memory.
        levels: by concurrency.
    """

    start_s: float
    peak_bytes: int
    levels: tuple[Level, ...]


def measure(
    folder: Path, requests: Sequence[Request], *, precision: str, callers: Sequence[int], seconds: float
) -> Served:
    """Start the server of `folder`, and ask for one document a request, `seconds` long per level.

    Raises:
        Unfinished: it does not come up, or answers anything but 200.
    """
    bodies = [
        json.dumps({"query": query, "documents": [document], "return_documents": False}).encode()
        for query, documents in requests
        for document in documents
    ]
    with socket.create_server((HOST, 0)) as probe:
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="rerank-bench-") as scratch, (Path(scratch) / "log").open("wb") as log:
        env = server_environment(folder, port, os.environ) | {"RERANK_PRECISION": precision, "RERANK_DEVICE": "cpu"}
        command = [sys.executable, "-I", str(server_script(folder))]
        started = time.perf_counter()
        server = subprocess.Popen(command, env=env, cwd=scratch, stdout=log, stderr=log)
        try:
            return asyncio.run(_measure(port, server, started, bodies, callers, seconds))
        finally:
            server.terminate()
            server.wait()


async def _measure(
    port: int,
    server: "subprocess.Popen[bytes]",
    started: float,
    bodies: Sequence[bytes],
    callers: Sequence[int],
    seconds: float,
) -> Served:
    client = Client(HOST, port)
    while await client.status("/ping") != 200:
        if server.poll() is not None or time.perf_counter() - started > _START_S:
            raise Unfinished("The server did not come up.", tip="`rerank serve` on the same model says why.")
        await asyncio.sleep(_POLL_S)
    start_s = time.perf_counter() - started
    for body in bodies[:8]:
        await _ask(client, body)
    levels = [await _level(client, bodies, count, seconds) for count in callers]
    return Served(start_s, await _peak_bytes(client), tuple(levels))


async def _level(client: Client, bodies: Sequence[bytes], callers: int, seconds: float) -> Level:
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
    ordered = sorted(took)
    p50, p95, p99 = (1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99))
    return Level(callers, len(took) / (time.perf_counter() - began), p50, p95, p99)


async def _ask(client: Client, body: bytes) -> None:
    status, _, answer = await client.post("/invocations", body)
    if status != 200:
        raise Unfinished(f"The server answered {status}: {answer[:200].decode(errors='replace')}")


async def _peak_bytes(client: Client) -> int:
    page = (await client.get("/metrics"))[2].decode()
    resident = [line.split()[1] for line in page.splitlines() if line.startswith("process_resident_memory_bytes ")]
    return int(float(resident[0])) if resident else 0
