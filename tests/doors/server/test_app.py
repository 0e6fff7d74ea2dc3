"""Our server's paths, in-process, over a fake engine."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from rerank_engine.hosting import Hosting
from rerank_engine.server.app import App

Ask = Callable[..., httpx.Response]
PATIENCE_S = 30.0
GOOD = b'{"query": "q", "documents": ["a", "bbb"]}'
JSON = {"content-type": "application/json"}


def test_ping_is_200_and_empty_when_a_request_would_be_answered(make_app: Callable[..., App], ask: Ask) -> None:
    """Healthy means ready: 200 without a body, for HEAD as well."""
    app = make_app()

    answers = [ask(app, method, "/ping") for method in ("GET", "HEAD")]

    assert [(200, b""), (200, b"")] == [(answer.status_code, answer.content) for answer in answers]


def test_ping_is_503_while_loading(make_app: Callable[..., App], ask: Ask) -> None:
    """Before the model has scored its canary, health and requests are refused with the reason."""
    app = make_app(loaded=False)

    ping, invocation = ask(app, "GET", "/ping"), ask(app, "POST", "/invocations", content=GOOD)

    assert (503, {"status": "loading the model"}) == (ping.status_code, ping.json())
    assert (503, "model_not_loaded") == (invocation.status_code, invocation.json()["detail"]["code"])
    assert "5" == invocation.headers["retry-after"]


@pytest.mark.parametrize("path", ["/invocations", "/v1/rerank", "/rerank", "/score", "/v1/score"])
def test_reranks(make_app: Callable[..., App], ask: Ask, path: str) -> None:
    """SageMaker's path and Jina's answer alike."""
    answer = ask(make_app(), "POST", path, content=GOOD, headers=JSON)

    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert [1, 0] == [entry["index"] for entry in answer.json()["results"]]


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/v2/rerank", GOOD, "meta"),
        ("/rerank", b'{"query": "q", "texts": ["a"]}', None),
        ("/score", b'{"text_1": "q", "text_2": "a"}', "data"),
        ("/v1/score", b'{"text_1": "q", "text_2": "a"}', "data"),
    ],
)
def test_other_apis_have_their_own_paths(
    make_app: Callable[..., App], ask: Ask, path: str, body: bytes, key: str | None
) -> None:
    """Clients of Cohere, text-embeddings-inference and vLLM find their paths and get their own answers."""
    answer = ask(make_app(), "POST", path, content=body, headers=JSON)

    assert 200 == answer.status_code
    assert isinstance(answer.json(), list) if key is None else key in answer.json()


def test_headers_are_read_whatever_their_case(make_app: Callable[..., App], ask: Ask) -> None:
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
    make_app: Callable[..., App], ask: Ask, method: str, path: str, status: int, allow: str | None
) -> None:
    """What is not served says so, with what is."""
    answer = ask(make_app(), method, path)

    assert (status, allow) == (answer.status_code, answer.headers.get("allow"))
    assert "detail" in answer.json()


def test_execution_parameters(make_app: Callable[..., App], ask: Ask) -> None:
    """Batch transform is told to pack records, within its rule that concurrency times payload stays below 100 MB."""
    answer = ask(make_app(hosting=Hosting(batch=True, max_payload_mb=50)), "GET", "/execution-parameters").json()

    assert ("MULTI_RECORD", 50) == (answer["BatchStrategy"], answer["MaxPayloadInMB"])
    assert 1 <= answer["MaxConcurrentTransforms"] <= 2


def test_metrics_count_what_happened(make_app: Callable[..., App], ask: Ask) -> None:
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


def test_metrics_count_what_was_remembered(make_app: Callable[..., App], ask: Ask) -> None:
    """Hits and misses of the cache, and how full it is."""
    app = make_app(cache_entries=5)
    for _ in range(2):
        ask(app, "POST", "/invocations", content=GOOD, headers=JSON)

    lines = ask(app, "GET", "/metrics").text.splitlines()

    for line in ("rerank_cache_hits_total 2", "rerank_cache_misses_total 2", "rerank_cached_pairs 2"):
        assert line in lines


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-encoding": "gzip"}, 415), ({"content-encoding": "identity"}, 200), ({"content-encoding": "br"}, 415)],
)
def test_compressed_bodies_are_refused(
    make_app: Callable[..., App], ask: Ask, headers: dict[str, str], status: int
) -> None:
    """A body that says it is compressed is a 415, not a riddle about bytes."""
    answer = ask(make_app(), "POST", "/invocations", content=GOOD, headers=JSON | headers)

    assert status == answer.status_code


def test_a_dead_worker_fails_the_health_check(make_app: Callable[..., App], ask: Ask, engine: Any) -> None:
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


def test_a_poisoned_line_fails_alone(make_app: Callable[..., App], ask: Ask) -> None:
    """In JSON Lines one poisoned record is one error line; the scheduler's retry is behind it."""
    body = b"\n".join([GOOD, '{"query": "q", "documents": ["☠"]}'.encode(), GOOD])

    answer = ask(make_app(), "POST", "/invocations", content=body, headers={"content-type": "application/jsonlines"})

    lines = [json.loads(line) for line in answer.content.split(b"\n")]
    assert (200, [None, "not_finite", None]) == (answer.status_code, [line.get("code") for line in lines])
