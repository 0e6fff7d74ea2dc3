"""Our server's paths, in-process, over a fake engine."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from rerank_engine.hosting import Hosting
from rerank_engine.server.app import App
from rerank_engine.server.life import Life
from rerank_engine.server.telemetry import Telemetry
from rerank_engine.settings import Settings

PATIENCE_S = 30.0
GOOD = b'{"query": "q", "documents": ["a", "bbb"]}'
JSON = {"content-type": "application/json"}


@pytest.fixture
def make_app(engine: Any) -> Iterator[Callable[..., App]]:
    """Applications whose model is loaded; keywords are settings."""
    made: list[App] = []

    def make(*, loaded: bool = True, hosting: Hosting | None = None, **settings: object) -> App:
        telemetry = Telemetry()
        life = Life(Settings(**settings), hosting or Hosting(), lambda: engine, observe=telemetry.passed)
        made.append(App(life, telemetry))
        if loaded:
            life.start()
            life.join()
        return made[-1]

    yield make
    for app in made:
        app.life.end()


def ask(app: App, method: str, path: str, **more: Any) -> httpx.Response:
    """One request, in-process."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


def test_ping_is_200_and_empty_when_a_request_would_be_answered(make_app: Callable[..., App]) -> None:
    """Healthy means ready: 200 without a body, for HEAD as well."""
    app = make_app()

    answers = [ask(app, method, "/ping") for method in ("GET", "HEAD")]

    assert [(200, b""), (200, b"")] == [(answer.status_code, answer.content) for answer in answers]


def test_ping_is_503_while_loading(make_app: Callable[..., App]) -> None:
    """Before the model has scored its canary, health and requests are refused with the reason."""
    app = make_app(loaded=False)

    ping, invocation = ask(app, "GET", "/ping"), ask(app, "POST", "/invocations", content=GOOD)

    assert (503, {"status": "loading the model"}) == (ping.status_code, ping.json())
    assert (503, "model_not_loaded") == (invocation.status_code, invocation.json()["detail"]["code"])
    assert "5" == invocation.headers["retry-after"]


@pytest.mark.parametrize("path", ["/invocations", "/v1/rerank", "/rerank", "/score", "/v1/score"])
def test_reranks(make_app: Callable[..., App], path: str) -> None:
    """SageMaker's path and Jina's answer alike."""
    answer = ask(make_app(), "POST", path, content=GOOD, headers=JSON)

    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert [1, 0] == [entry["index"] for entry in answer.json()["results"]]


def test_headers_are_read_whatever_their_case(make_app: Callable[..., App]) -> None:
    """Content type, Accept and the custom attributes are found in any spelling, and the attributes come back."""
    headers = {"CONTENT-TYPE": "Application/JsonLines", "ACCEPT": "*/*", "x-aMzn-sagemaker-CUSTOM-attributes": "t=1"}

    answer = ask(make_app(), "POST", "/invocations", content=GOOD + b"\n" + GOOD, headers=headers)

    assert "application/jsonlines" == answer.headers["content-type"]
    assert answer.headers["x-amzn-sagemaker-custom-attributes"].startswith("t=1;query_tokens=2;")
    assert 2 == len(answer.content.split(b"\n"))


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/", 404, None),
        ("POST", "/v2/nothing", 404, None),
        ("GET", "/invocations", 405, "POST"),
        ("DELETE", "/invocations", 405, "POST"),
        ("POST", "/ping", 405, "GET, HEAD"),
        ("OPTIONS", "/metrics", 405, "GET, HEAD"),
    ],
)
def test_other_paths_and_methods(
    make_app: Callable[..., App], method: str, path: str, status: int, allow: str | None
) -> None:
    """What is not served says so, with what is."""
    answer = ask(make_app(), method, path)

    assert (status, allow) == (answer.status_code, answer.headers.get("allow"))
    assert "detail" in answer.json()


def test_execution_parameters(make_app: Callable[..., App]) -> None:
    """Batch transform is told to pack records, within its rule that concurrency times payload stays below 100 MB."""
    answer = ask(make_app(hosting=Hosting(batch=True, max_payload_mb=50)), "GET", "/execution-parameters").json()

    assert ("MULTI_RECORD", 50) == (answer["BatchStrategy"], answer["MaxPayloadInMB"])
    assert 1 <= answer["MaxConcurrentTransforms"] <= 2


def test_metrics_count_what_happened(make_app: Callable[..., App]) -> None:
    """Requests by status, errors by code and passes show on /metrics."""
    app = make_app()
    for body in (GOOD, b"{"):
        ask(app, "POST", "/invocations", content=body, headers=JSON)

    answer = ask(app, "GET", "/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'rerank_requests_total{path="/invocations",status="200"} 1',
        'rerank_requests_total{path="/invocations",status="400"} 1',
        'rerank_errors_total{code="malformed_body"} 1',
        "rerank_pairs_total 2",
        "rerank_ready 1",
        "rerank_inflight_requests 0",
    ):
        assert line in answer.text.splitlines()


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-encoding": "gzip"}, 415), ({"content-encoding": "identity"}, 200), ({"content-encoding": "br"}, 415)],
)
def test_compressed_bodies_are_refused(make_app: Callable[..., App], headers: dict[str, str], status: int) -> None:
    """A body that says it is compressed is a 415, not a riddle about bytes."""
    answer = ask(make_app(), "POST", "/invocations", content=GOOD, headers=JSON | headers)

    assert status == answer.status_code


class Connection:
    """One ASGI connection, driven by hand."""

    def __init__(self, messages: Sequence[dict[str, Any]], headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": list(headers)}
        self.sent: list[dict[str, Any]] = []
        self.read = 0
        self._messages = list(messages)
        self.wait_at_end: Callable[[], Awaitable[None]] | None = None

    async def receive(self) -> dict[str, Any]:
        if self._messages:
            self.read += 1
            return self._messages.pop(0)
        if self.wait_at_end is not None:
            await self.wait_at_end()
            return {"type": "http.disconnect"}
        return await asyncio.Future()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_pieces(make_app: Callable[..., App]) -> None:
    """A body may arrive byte by byte."""
    connection = Connection([*(part(bytes([byte]), more=True) for byte in GOOD), part(b"", more=False)])

    asyncio.run(make_app()(connection.scope, connection.receive, connection.send))

    assert 200 == connection.status


def test_a_body_that_says_it_is_too_large_is_not_read(make_app: Callable[..., App]) -> None:
    """A Content-Length above the limit is answered before a single byte is read."""
    connection = Connection([part(b"x" * 2048, more=False)], [(b"content-length", b"2048")])

    asyncio.run(make_app(max_body_bytes=1024)(connection.scope, connection.receive, connection.send))

    assert (413, 0) == (connection.status, connection.read)


def test_a_body_that_grows_too_large_is_not_read_to_the_end(make_app: Callable[..., App]) -> None:
    """Without Content-Length the limit holds all the same."""
    connection = Connection([part(b"x" * 1000, more=True)] * 100)

    asyncio.run(make_app(max_body_bytes=2048)(connection.scope, connection.receive, connection.send))

    assert (413, 3) == (connection.status, connection.read)


def test_a_client_that_leaves_while_sending_is_not_answered(make_app: Callable[..., App]) -> None:
    """A connection that ends within the body gets nothing, and is counted."""
    app = make_app()
    connection = Connection([part(b"{", more=True), {"type": "http.disconnect"}])

    asyncio.run(app(connection.scope, connection.receive, connection.send))

    assert [] == connection.sent
    assert 'rerank_requests_total{path="/invocations",status="499"} 1' in ask(app, "GET", "/metrics").text


class SlowForward:
    """Forward passes of a fake engine, held back until the test lets them go."""

    def __init__(self, engine: Any) -> None:
        self.entered = threading.Event()
        self.permit = threading.Event()
        self.scored: list[int] = []
        self._forward = engine.forward
        engine.forward = self

    def __call__(self, pairs: Sequence[Sequence[int]], /) -> list[float]:
        if pairs != [[1]]:  # the canary passes
            self.entered.set()
            assert self.permit.wait(PATIENCE_S)
            self.scored.append(len(pairs))
        return [1.0] * len(pairs)


@pytest.fixture
def slow(engine: Any) -> Iterator[SlowForward]:
    slow = SlowForward(engine)
    yield slow
    slow.permit.set()


def test_a_client_that_leaves_while_waiting_is_not_computed(make_app: Callable[..., App], slow: SlowForward) -> None:
    """What is left of a request whose caller has gone is dropped; others are served."""
    app = make_app()

    async def scenario() -> tuple[Connection, Connection]:
        first, leaver = Connection([part(GOOD, more=False)]), Connection([part(GOOD, more=False)])
        gone = asyncio.Event()
        leaver.wait_at_end = lambda: gone.wait()  # type: ignore[assignment, return-value]
        staying = asyncio.create_task(app(first.scope, first.receive, first.send))
        await asyncio.to_thread(slow.entered.wait, PATIENCE_S)
        leaving = asyncio.create_task(app(leaver.scope, leaver.receive, leaver.send))
        while app.life.waiting < 2:
            await asyncio.sleep(0)
        gone.set()
        await leaving
        slow.permit.set()
        await staying
        return first, leaver

    first, leaver = asyncio.run(scenario())

    assert (200, []) == (first.status, leaver.sent)
    assert [2] == slow.scored


def test_ping_answers_while_the_model_computes(make_app: Callable[..., App], slow: SlowForward) -> None:
    """Health does not wait for a forward pass, nor do refusals when the house is full."""
    app = make_app(max_queued_requests=1)

    async def scenario() -> list[int]:
        first, second = Connection([part(GOOD, more=False)]), Connection([part(GOOD, more=False)])
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


def test_a_request_past_its_deadline_is_answered(make_app: Callable[..., App], slow: SlowForward) -> None:
    """A forward pass that hangs costs the caller its deadline, not its connection: 504 with a body."""
    app = make_app(deadline_seconds=0.1)

    answer = ask(app, "POST", "/invocations", content=GOOD, headers=JSON)

    assert (504, "deadline_exceeded") == (answer.status_code, answer.json()["detail"]["code"])


def test_a_dead_worker_fails_the_health_check(make_app: Callable[..., App], engine: Any) -> None:
    """When the model's thread has died, /ping says so and requests are refused."""

    def die(pairs: Sequence[Sequence[int]], /) -> list[float]:
        raise SystemExit("a library called exit")

    engine.check_canary = lambda: 0.0
    engine.forward = die
    app = make_app()
    worker = app.life.serving()[1]
    invocation = ask(app, "POST", "/invocations", content=GOOD, headers=JSON)
    worker.join(PATIENCE_S)
    ping = ask(app, "GET", "/ping")

    assert (503, "model_not_loaded") == (invocation.status_code, invocation.json()["detail"]["code"])
    assert (503, {"status": "the model's worker is dead"}) == (ping.status_code, ping.json())


def test_a_poisoned_line_fails_alone(make_app: Callable[..., App]) -> None:
    """In JSON Lines one poisoned record is one error line; the scheduler's retry is behind it."""
    body = b"\n".join([GOOD, '{"query": "q", "documents": ["☠"]}'.encode(), GOOD])

    answer = ask(make_app(), "POST", "/invocations", content=body, headers={"content-type": "application/jsonlines"})

    lines = [json.loads(line) for line in answer.content.split(b"\n")]
    assert (200, [None, "not_finite", None]) == (answer.status_code, [line.get("code") for line in lines])
