"""Our server's application over a fake engine, and ASGI connections driven by hand."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from rerank_engine.hosting import Hosting
from rerank_engine.server.app import App
from rerank_engine.server.life import Life
from rerank_engine.settings import Settings
from rerank_engine.telemetry.telemetry import Telemetry

PATIENCE_S = 30.0


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


def _ask(app: App, method: str, path: str, **more: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


@pytest.fixture
def ask() -> Callable[..., httpx.Response]:
    """One request, in-process: ask(app, method, path, …)."""
    return _ask


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


@pytest.fixture
def connect() -> type[Connection]:
    """Makes connections: connect(messages, headers)."""
    return Connection


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
