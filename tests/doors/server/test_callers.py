"""A caller that says its name has a share of the queue: beyond it 429; when the queue is full, everybody gets 503."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rerank_engine.errors import TooManyRequests
from rerank_engine.server.app import App
from rerank_engine.server.callers import Callers
from rerank_engine.service.attributes import caller_of
from rerank_engine.settings import Settings

PATIENCE_S = 30.0
GOOD = b'{"query": "q", "documents": ["a", "bbb"]}'


@pytest.mark.parametrize(
    ("attributes", "caller"),
    [
        (None, None),
        ("", None),
        ("trace=7", None),
        ("caller=", None),
        ("caller", None),
        ("caller=team a", "team a"),
        ("trace=7; Caller = x=1 ;y", "x=1"),
        ("trace=7,caller=a,caller=b", "a"),
        ("thecaller=a", None),
    ],
)
def test_a_caller_is_named_among_the_custom_attributes(attributes: str | None, caller: str | None) -> None:
    """Between semicolons or commas, in any case; no name is no caller."""
    assert caller == caller_of(attributes)


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 64),
        ({"max_queued_requests": 9}, 4),
        ({"max_queued_requests": 1}, 1),
        ({"max_queued_requests": 9, "max_requests_per_caller": 7}, 7),
    ],
)
def test_the_share_is_half_the_queue_unless_it_is_set(settings: dict[str, int], share: int) -> None:
    """A caller is refused at its share, whatever others have, and taken again when one of its own is answered."""
    callers = Callers(Settings(**settings))
    for _ in range(share):
        callers.came("a")
        callers.check("a")
    callers.came("b")
    callers.check("b")
    callers.came("a")

    with pytest.raises(TooManyRequests, match=f"'a' has {share} requests under way"):
        callers.check("a")

    callers.went("a")
    callers.check("a")


def test_callers_without_requests_are_forgotten() -> None:
    """However many names there were; requests without a name are not counted."""
    callers = Callers(Settings())
    for caller in [*map(str, range(100)), None]:
        callers.came(caller)
        callers.check(caller)
        callers.went(caller)

    assert 0 == len(callers)


def test_who_is_refused_with_what(
    make_app: Callable[..., App], ask: Callable[..., httpx.Response], connect: Callable[..., Any], slow: Any
) -> None:
    """Beyond its share a caller gets 429, another caller its turn, and when the queue is full everybody a 503."""
    app = make_app(max_queued_requests=3, max_requests_per_caller=1)

    def call(caller: str) -> Any:
        header = (b"x-amzn-sagemaker-custom-attributes", f"caller={caller}".encode())
        return connect([{"type": "http.request", "body": GOOD, "more_body": False}], [header] if caller else [])

    async def scenario() -> list[Any]:
        connections = [call(caller) for caller in ("a", "a", "b", "", "", "c")]
        tasks = []
        for connection in connections:
            tasks.append(asyncio.create_task(app(connection.scope, connection.receive, connection.send)))
            await asyncio.sleep(0)
        await asyncio.to_thread(slow.entered.wait, PATIENCE_S)
        slow.permit.set()
        await asyncio.gather(*tasks)
        return connections

    connections = asyncio.run(scenario())

    assert [200, 429, 200, 200, 503, 503] == [connection.status for connection in connections]
    refused = connections[1]
    assert "too_many_requests" == json.loads(refused.sent[1]["body"])["detail"]["code"]
    assert (b"retry-after", b"1") in refused.sent[0]["headers"]
    assert (b"x-amzn-sagemaker-custom-attributes", b"caller=a") in refused.sent[0]["headers"]
    assert 'rerank_errors_total{code="too_many_requests"} 1' in ask(app, "GET", "/metrics").text.splitlines()
    assert 0 == len(app.callers)
