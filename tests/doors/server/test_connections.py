"""Connections in all their moods: bodies in pieces, callers who leave, callers who wait."""

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rerank_engine.errors import DeadlineExceeded
from rerank_engine.server.app import App, _outcome
from rerank_engine.service.scheduler import Job

Ask = Callable[..., httpx.Response]
Connect = Callable[..., Any]
PATIENCE_S = 30.0
GOOD = b'{"query": "q", "documents": ["a", "bbb"]}'
JSON = {"content-type": "application/json"}


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_pieces(make_app: Callable[..., App], connect: Connect) -> None:
    """A body may arrive byte by byte."""
    connection = connect([*(part(bytes([byte]), more=True) for byte in GOOD), part(b"", more=False)])

    asyncio.run(make_app()(connection.scope, connection.receive, connection.send))

    assert 200 == connection.status


def test_a_body_that_says_it_is_too_large_is_not_read(make_app: Callable[..., App], connect: Connect) -> None:
    """A Content-Length above the limit is answered before a single byte is read."""
    connection = connect([part(b"x" * 2048, more=False)], [(b"content-length", b"2048")])

    asyncio.run(make_app(max_body_bytes=1024)(connection.scope, connection.receive, connection.send))

    assert (413, 0) == (connection.status, connection.read)


def test_a_body_that_grows_too_large_is_not_read_to_the_end(make_app: Callable[..., App], connect: Connect) -> None:
    """Without Content-Length the limit holds all the same."""
    connection = connect([part(b"x" * 1000, more=True)] * 100)

    asyncio.run(make_app(max_body_bytes=2048)(connection.scope, connection.receive, connection.send))

    assert (413, 3) == (connection.status, connection.read)


def test_a_client_that_leaves_while_sending_is_not_answered(
    make_app: Callable[..., App], ask: Ask, connect: Connect
) -> None:
    """A connection that ends within the body gets nothing, and is counted."""
    app = make_app()
    connection = connect([part(b"{", more=True), {"type": "http.disconnect"}])

    asyncio.run(app(connection.scope, connection.receive, connection.send))

    assert [] == connection.sent
    assert 'rerank_requests_total{path="/invocations",status="499"} 1' in ask(app, "GET", "/metrics").text


def test_a_client_that_leaves_while_waiting_is_not_computed(
    make_app: Callable[..., App], connect: Connect, slow: Any, until: Callable[..., Any]
) -> None:
    """What is left of a request whose caller has gone is dropped; others are served."""
    app = make_app()

    async def scenario() -> tuple[Any, Any]:
        first, leaver = connect([part(GOOD, more=False)]), connect([part(GOOD, more=False)])
        gone = asyncio.Event()
        leaver.wait_at_end = lambda: gone.wait()  # type: ignore[assignment, return-value]
        staying = asyncio.create_task(app(first.scope, first.receive, first.send))
        await asyncio.to_thread(slow.entered.wait, PATIENCE_S)
        leaving = asyncio.create_task(app(leaver.scope, leaver.receive, leaver.send))
        await asyncio.to_thread(until, lambda: app.life.waiting == 2, "both requests wait")
        gone.set()
        await leaving
        slow.permit.set()
        await staying
        return first, leaver

    first, leaver = asyncio.run(scenario())

    assert (200, []) == (first.status, leaver.sent)
    assert [2] == slow.scored


def test_ping_answers_while_the_model_computes(make_app: Callable[..., App], connect: Connect, slow: Any) -> None:
    """Health does not wait for a forward pass, nor do refusals when the house is full."""
    app = make_app(max_queued_requests=1)

    async def scenario() -> list[int]:
        first, second = connect([part(GOOD, more=False)]), connect([part(GOOD, more=False)])
        running = asyncio.create_task(app(first.scope, first.receive, first.send))
        await asyncio.to_thread(slow.entered.wait, PATIENCE_S)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
            ping = await client.get("/ping")
        await app(second.scope, second.receive, second.send)
        slow.permit.set()
        await running
        return [ping.status_code, second.status, first.status]

    statuses = asyncio.run(scenario())

    assert [200, 503, 200] == statuses


def test_a_request_past_its_deadline_is_answered(make_app: Callable[..., App], ask: Ask, slow: Any) -> None:
    """A forward pass that hangs costs the caller its deadline, not its connection: 504 with a body."""
    app = make_app(deadline_seconds=0.1)

    answer = ask(app, "POST", "/invocations", content=GOOD, headers=JSON)

    assert (504, "deadline_exceeded") == (answer.status_code, answer.json()["detail"]["code"])


def test_a_body_that_does_not_arrive_is_the_callers_fault(make_app: Callable[..., App], connect: Connect) -> None:
    """What is not there by the deadline is a 408 and the end of the connection; time was not ours to lose."""
    app = make_app(deadline_seconds=0.1)
    connection = connect([part(GOOD[:10], more=True)])

    asyncio.run(app(connection.scope, connection.receive, connection.send))

    assert (408, "request_timeout") == (connection.status, json.loads(connection.sent[1]["body"])["detail"]["code"])
    assert (b"connection", b"close") in connection.sent[0]["headers"]


@pytest.mark.parametrize("turns", range(4))
def test_an_outcome_that_comes_when_time_is_up_is_not_reported_as_lost(turns: int) -> None:
    """The caller got its 504; a failure that arrives in that moment is no news, and asyncio does not log it."""
    complaints: list[dict[str, Any]] = []

    class Waiting:
        async def disconnected(self) -> None:
            await asyncio.Event().wait()

    async def both_at_once() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        job = Job([[1, 2]], submitted=0.0, deadline_s=1.0)
        waiting = asyncio.ensure_future(_outcome(job, Waiting()))  # type: ignore[arg-type]
        for _ in range(3):
            await asyncio.sleep(0)
        job.fail(job.late())
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError, DeadlineExceeded):
            await waiting
        for _ in range(3):
            await asyncio.sleep(0)
        del job, waiting  # what nobody holds any more says what it was not asked
        gc.collect()

    asyncio.run(both_at_once())

    assert [] == complaints
