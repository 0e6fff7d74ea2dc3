"""Hostile requests, kept as data in tests/data/hostile: each gets its 4xx and a body that says what to do.

A line of the corpus is one request: `name`, `status`, the body as `text`, as `base64`, or as `unit` times `count`; and
where they matter `path`, `method`, `content_type`, `headers`. Bodies of JSON Lines have `lines`: each line's status.
"""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rerank_engine.hosting import Hosting
from rerank_engine.server.app import App
from rerank_engine.server.life import Life
from rerank_engine.settings import Settings
from rerank_engine.telemetry.telemetry import Telemetry

FOLDER = Path(__file__).parents[1] / "data" / "hostile"
FILES = ("bodies", "fields", "headers", "lines")


def corpus(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def app(engine: Any) -> Iterator[App]:
    life = Life(Settings(), Hosting(), lambda: engine)
    life.start()
    life.join()
    yield App(life, Telemetry())
    life.end()


def body_of(request: dict[str, Any]) -> bytes:
    if "base64" in request:
        return base64.b64decode(request["base64"])
    text = request["text"] if "text" in request else request["unit"] * request["count"]
    return str(text).encode("utf-8", "surrogatepass")


def ask_all(app: App, requests: list[dict[str, Any]]) -> list[tuple[str, int, bytes]]:
    async def send() -> list[tuple[str, int, bytes]]:
        told = []
        for request in requests:
            headers = request.get("headers", {}) | {"content-type": request.get("content_type", "application/json")}
            scope = {
                "type": "http",
                "method": request.get("method", "POST"),
                "path": request.get("path", "/invocations"),
                "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
            }
            told.append((request["name"], *await call(app, scope, body_of(request))))
        return told

    return asyncio.run(send())


async def call(app: App, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    """One ASGI call; the paths and headers of the corpus are more than an HTTP client would send."""
    sent: list[Any] = []
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return unread.pop() if unread else await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(inner)


@pytest.mark.parametrize("file", FILES)
def test_hostile_requests(app: App, file: str) -> None:
    """Every one has the status it should, never a 500 of its own, and says in words what was wrong."""
    requests = corpus(file)

    answers = ask_all(app, requests)

    assert [(request["name"], request["status"]) for request in requests] == [answer[:2] for answer in answers]
    for request, (name, _, body) in zip(requests, answers, strict=True):
        if request.get("method") == "HEAD":
            continue
        lines = [json.loads(line) for line in body.split(b"\n")]
        assert request.get("lines", [request["status"]]) == [
            line.get("status", 200) if "lines" in request else request["status"] for line in lines
        ], name
        for line in lines:
            assert isinstance(line, dict), name
            assert max(map(len, texts(line))) >= (15 if line.get("status", request["status"]) != 200 else 0), name
            assert "Traceback" not in body.decode(), name


def test_there_are_enough_of_them() -> None:
    """At least 200, and no name twice in a file."""
    names = [(file, request["name"]) for file in FILES for request in corpus(file)]

    assert len(names) >= 200
    assert len(set(names)) == len(names)


def test_the_server_lives_on(app: App, engine: Any) -> None:
    """After all of them together a good request is answered."""
    ask_all(app, [request for file in FILES for request in corpus(file)])

    [(_, status, _)] = ask_all(app, [{"name": "good", "text": '{"query": "q", "documents": ["a"]}'}])

    assert 200 == status
