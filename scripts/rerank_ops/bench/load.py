"""A server at twice what it can do: is every answer right, every refusal polite, and its memory flat?

    python -m rerank_ops.bench.load [MODEL] [--seconds 60] [--factor 2] [--json]

Starts the server of MODEL (a bundle, a checkpoint folder, or demo) on a free port of 127.0.0.1 and asks each of 24
different requests once, alone: those scores are the right ones. Then it measures how many requests a second 64 callers
in a closed loop are served (the capacity), and for --seconds sends --factor times as many, at fixed times, whether or
not earlier ones were answered. Caller and server share the machine. Fails (exit code 1) on any wrong score, any answer
but 200 and a 429 or 503 with Retry-After, any broken connection, or memory that is not flat. Flat is: its median in the
last quarter of the time is at most 3 % above that in the second quarter, and a line fitted through the second half
rises by at most 2 %. Short runs may fail by that: a model's first minute or two compile and fill what is then kept.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rerank_ops import console
from rerank_ops.bench.http_client import Client
from rerank_ops.serving import HOST, model_folder, server_environment, server_script

_REQUESTS = 24
_CALLERS = 64
_CAPACITY_S = 10.0
_CLOSE = 1e-4  # scores of one pair in different batches
_WORDS = ("endpoint", "variant", "model", "scales", "request", "banana", "yellow", "queue", "token", "weight", "rain")
_MOST_GROWTH = 0.03
_MOST_RISE = 0.02


@dataclass
class Tally:
    """What came back.

    Attributes:
        outcomes: answers by kind.
        seconds: how long each right answer took.
        resident: (seconds since the start, bytes) of the server's memory.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    resident: list[tuple[float, float]] = field(default_factory=list)

    def percentile_ms(self, share: float) -> float:
        """Of the right answers."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def main(argv: list[str] | None = None) -> int:
    """Run the load; 0 when the server kept its promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="demo", help="a bundle, a checkpoint folder, or demo (the default)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N")
    parser.add_argument("--factor", type=float, default=2.0, metavar="N", help="times the capacity (default: 2)")
    console.json_option(parser)
    args = parser.parse_args(argv)
    with model_folder(args.model) as folder, tempfile.TemporaryDirectory(prefix="rerank-load-") as scratch:
        with socket.create_server((HOST, 0)) as probe:
            port = int(probe.getsockname()[1])
        with (Path(scratch) / "log").open("wb") as log:
            door = server_script(folder)
            env = server_environment(folder, port, os.environ)
            server = subprocess.Popen([sys.executable, "-I", str(door)], env=env, cwd=scratch, stdout=log)
            try:
                report = asyncio.run(_measure(port, args.seconds, args.factor, server))
            finally:
                server.terminate()
                server.wait()
    if args.json:
        console.emit(report)
    else:
        console.table(("load", args.model), [(name, value) for name, value in report.items()])
    return 0 if report["kept"] else 1


def requests() -> list[bytes]:
    """The bodies: 1 to 30 documents of 3 to 120 words."""
    chance = random.Random(7)  # noqa: S311
    return [
        json.dumps(
            {
                "query": " ".join(chance.choices(_WORDS, k=6)),
                "documents": [
                    " ".join(chance.choices(_WORDS, k=chance.randint(3, 120))) for _ in range(chance.randint(1, 30))
                ],
                "return_documents": False,
            }
        ).encode()
        for _ in range(_REQUESTS)
    ]


def growth(samples: list[tuple[float, float]]) -> float:
    """Median of the last quarter over that of the second, minus 1; in the first, allocators and caches fill."""
    quarter = len(samples) // 4
    if quarter < 1:
        return 0.0
    early = statistics.median(size for _, size in samples[quarter : 2 * quarter])
    return statistics.median(size for _, size in samples[-quarter:]) / early - 1


def rise(samples: list[tuple[float, float]]) -> float:
    """What a line of least squares through the second half gains within it, as a share of its mean."""
    late = samples[len(samples) // 2 :]
    if len(late) < 2:
        return 0.0
    slope, _ = statistics.linear_regression(*zip(*late, strict=True))
    return slope * (late[-1][0] - late[0][0]) / statistics.fmean(size for _, size in late)


def at_quarters(samples: list[tuple[float, float]]) -> dict[str, int]:
    """MB at 25, 50, 75 and 100 % of the samples: the median of those of the twentieth before."""
    few = max(1, len(samples) // 20)
    ends = {f"{25 * quarter}%": max(1, len(samples) * quarter // 4) for quarter in (1, 2, 3, 4)} if samples else {}
    middle = {
        name: statistics.median(size for _, size in samples[max(0, end - few) : end]) for name, end in ends.items()
    }
    return {name: round(size / 2**20) for name, size in middle.items()}


async def _measure(port: int, seconds: float, factor: float, server: "subprocess.Popen[bytes]") -> dict[str, Any]:
    client = Client(HOST, port)
    while (await client.status("/ping")) != 200:
        if server.poll() is not None:
            raise RuntimeError(f"The server ended with {server.returncode}.")
        await asyncio.sleep(0.1)
    bodies = requests()
    right = [_scores((await client.post("/invocations", body))[2]) for body in bodies]
    capacity = await _capacity(client, bodies)
    tally = Tally()
    started = time.monotonic()
    watching = asyncio.create_task(_watch(client, tally, started))
    calls: set[asyncio.Task[None]] = set()
    sent = 0
    while (now := time.monotonic() - started) < seconds:
        while sent < now * capacity * factor:
            at = sent % len(bodies)
            call = asyncio.create_task(_call(client, bodies[at], right[at], tally))
            calls.add(call)
            call.add_done_callback(calls.discard)
            sent += 1
        await asyncio.sleep(0.005)
    lasted = time.monotonic() - started
    await asyncio.gather(*calls)
    watching.cancel()
    grown, risen = growth(tally.resident), rise(tally.resident)
    flat = grown <= _MOST_GROWTH and risen <= _MOST_RISE
    return {
        "kept": flat and not set(tally.outcomes) - {"right", "refused with Retry-After"},
        "flat": flat,
        "seconds": round(lasted, 1),
        "capacity_per_s": round(capacity, 1),
        "sent_per_s": round(sent / lasted, 1),
        "sent": sent,
        **{kind.replace(" ", "_"): number for kind, number in sorted(tally.outcomes.items())},
        "right_per_s": round(tally.outcomes["right"] / lasted, 1),
        "p50_ms": round(tally.percentile_ms(0.5), 1),
        "p99_ms": round(tally.percentile_ms(0.99), 1),
        "resident_growth": round(grown, 4),
        "resident_rise": round(risen, 4),
        "resident_mb": at_quarters(tally.resident),
        "resident_mb_over_time": [
            round(size / 2**20) for _, size in tally.resident[:: max(1, len(tally.resident) // 20)]
        ],
    }


async def _capacity(client: Client, bodies: list[bytes]) -> float:
    """Requests a second of callers who wait for each answer."""
    started, done = time.monotonic(), 0

    async def caller(first: int) -> None:
        nonlocal done
        at = first
        while time.monotonic() - started < _CAPACITY_S:
            await client.post("/invocations", bodies[at % len(bodies)])
            done += 1
            at += 1

    await asyncio.gather(*(caller(number) for number in range(_CALLERS)))
    return done / (time.monotonic() - started)


async def _call(client: Client, body: bytes, right: dict[int, float], tally: Tally) -> None:
    began = time.monotonic()
    try:
        status, headers, answer = await client.post("/invocations", body)
    except (OSError, EOFError, ValueError) as error:
        tally.outcomes[f"broken: {type(error).__name__}"] += 1
        return
    if status == 200:
        scores = _scores(answer)
        same = scores.keys() == right.keys() and all(abs(scores[at] - right[at]) <= _CLOSE for at in right)
        tally.outcomes["right" if same else "wrong"] += 1
        tally.seconds.append(time.monotonic() - began)
    elif status in (429, 503):
        tally.outcomes["refused with Retry-After" if "retry-after" in headers else "refused without Retry-After"] += 1
    else:
        tally.outcomes[f"status {status}"] += 1


async def _watch(client: Client, tally: Tally, started: float) -> None:
    while True:
        page = (await client.get("/metrics"))[2].decode()
        for line in page.splitlines():
            if line.startswith("process_resident_memory_bytes "):
                tally.resident.append((time.monotonic() - started, float(line.split()[1])))
        await asyncio.sleep(1.0)


def _scores(answer: bytes) -> dict[int, float]:
    return {entry["index"]: entry["relevance_score"] for entry in json.loads(answer)["results"]}


if __name__ == "__main__":
    sys.exit(main())
