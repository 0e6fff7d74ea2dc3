"""The load test's own arithmetic, and a short run of it."""

import asyncio
import json

import pytest

from rerank_ops.bench import load
from rerank_ops.bench.http_client import Client


def test_growth_leaves_out_the_warm_up() -> None:
    """The last quarter against the second one: what fills up at first does not count, what creeps does."""
    warming = [(float(at), 1e8 + at) for at in range(20)]
    flat = [(float(at), 4e8 + at % 7) for at in range(20, 80)]
    creeping = [(float(at), 4e8 * (1 + at / 100)) for at in range(20, 80)]

    assert pytest.approx(0.0, abs=1e-6) == load.growth([*warming, *flat])
    assert load.growth([*warming, *creeping]) > 0.25
    assert 0.0 == load.growth([(1.0, 5.0)])


def test_rise_is_what_a_line_through_the_second_half_gains() -> None:
    """A slow creep that hides in noise shows in the slope; a level one, and a rise of the first half, do not."""
    noise = [1e6 * ((7 * at) % 5 - 2) for at in range(100)]
    creeping = [(float(at), 1e8 * (1 + at / 1000) + noise[at]) for at in range(100)]
    warming = [(float(at), 1e8 + 1e6 * min(at, 40) + noise[at]) for at in range(100)]

    assert pytest.approx(0.049 / 1.0745, abs=0.005) == load.rise(creeping)
    assert pytest.approx(0.0, abs=0.005) == load.rise(warming)
    assert 0.0 == load.rise([(1.0, 5.0)])


def test_memory_is_told_at_quarters() -> None:
    """In MB, each the median of the samples just before."""
    samples = [(float(at), at * 2.0**20) for at in range(1, 101)]

    assert {"25%": 23, "50%": 48, "75%": 73, "100%": 98} == load.at_quarters(samples)
    assert {} == load.at_quarters([])


def test_requests_are_the_same_every_time() -> None:
    """Runs can be compared: equal bodies, 24 of them, all different."""
    assert load.requests() == load.requests()
    assert 24 == len(set(load.requests()))


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    """Servers close what idles: the next request opens another one."""

    async def served() -> tuple[int, int]:
        connections = 0

        async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(one_answer, "127.0.0.1", 0)
        async with server:
            client = Client(*server.sockets[0].getsockname())
            first = await client.status("/ping")
            kept = client._idle[0][0]
            await asyncio.wait_for(kept.read(), 30)  # until the end arrives
            second = await client.status("/ping")
        return first + second, connections

    assert (400, 2) == asyncio.run(served())


@pytest.mark.e2e
def test_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Against the demo model: no wrong score, no refusal without Retry-After, nothing broken."""
    load.main(["--seconds", "3", "--json"])

    report = json.loads(capsys.readouterr().out)
    known = {"right", "refused_with_Retry-After"}
    answered = {name: report[name] for name in report if name in known}
    assert report["sent"] == sum(answered.values())
    assert report["right"] > 0
