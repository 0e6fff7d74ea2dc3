"""What the client's docstrings promise about requests: how many, how many at once, which are sent again."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import NoCredentialsError, ParamValidationError, ReadTimeoutError
from tests.client.conftest import Wire, scored

from rerank_client import DocumentTooLarge, EndpointFailed, InvalidCall, RerankClient, client, failures

Runtime = Callable[[Wire], Any]
ANSWER = json.dumps({"results": [{"index": 0, "relevance_score": 0.5}]}).encode()


class Stub(ThreadingHTTPServer):
    """An endpoint on this machine: what it does with each request in turn, the last for ever; and how many came."""

    daemon_threads = True
    turns: tuple[str, ...] = ("answer",)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.count, self.released, self._lock = 0, threading.Event(), threading.Lock()

    def next_turn(self) -> str:
        with self._lock:
            self.count += 1
            return self.turns[min(self.count, len(self.turns)) - 1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stub

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        turn = self.server.next_turn()
        if turn == "answer":
            self._reply(200, ANSWER, len(ANSWER))
        elif turn == "busy":
            self._reply(503, b"{}", 2)
        elif turn == "half":
            self._reply(200, ANSWER[:10], len(ANSWER))
            self.close_connection = True
        elif turn == "close":
            self.close_connection = True
        else:
            self.server.released.wait(30)
            self.close_connection = True

    def _reply(self, status: int, body: bytes, announced: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """The stub, and a shell that points at it: the client makes its own boto3 client."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AMAZON_"))]:
        monkeypatch.delenv(name)
    with Stub() as server:
        values = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}", "AWS_REGION": "us-east-1"}
        keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_CONFIG_FILE": os.devnull}
        for name, value in {**values, **keys, "AWS_MAX_ATTEMPTS": "5", "NO_PROXY": "127.0.0.1"}.items():
            monkeypatch.setenv(name, value)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def test_a_read_timeout_is_not_sent_again(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is busy with the first request: a second would double its load. boto3's own error tells it."""
    monkeypatch.setattr(client, "READ_TIMEOUT_S", 0.3)
    stub.turns = ("silent",)
    with pytest.raises(ReadTimeoutError):
        RerankClient("e", sleep=lambda _: None).rerank("q", ["a"])

    assert 1 == stub.count


@pytest.mark.parametrize("turn", ["busy", "close", "half"])
def test_a_call_without_an_answer_is_sent_again(stub: Stub, turn: str) -> None:
    """SageMaker's 503, a connection closed before the answer or within it: reranking changes nothing."""
    stub.turns = (turn, "answer")
    answer = RerankClient("e", sleep=lambda _: None).rerank("q", ["a"])

    assert 1 == len(answer.results)
    assert 2 == stub.count


@pytest.mark.parametrize("turn", ["busy", "close", "half"])
def test_attempts_are_the_clients_and_no_more(stub: Stub, turn: str) -> None:
    """max_attempts counts all requests: boto3 adds none, whatever AWS_MAX_ATTEMPTS says."""
    stub.turns = (turn,)
    with pytest.raises(EndpointFailed, match="in each of 3 attempts"):
        RerankClient("e", max_attempts=3, sleep=lambda _: None).rerank("q", ["a"])

    assert 3 == stub.count


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (exceptions.ConnectTimeoutError(endpoint_url="e"), True),
        (exceptions.ConnectionClosedError(endpoint_url="e"), True),
        (exceptions.EndpointConnectionError(endpoint_url="e"), True),
        (exceptions.ProxyConnectionError(proxy_url="p"), True),
        (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), True),
        (exceptions.ResponseStreamingError(error="e"), True),
        (exceptions.ReadTimeoutError(endpoint_url="e"), False),
        (exceptions.SSLError(endpoint_url="e", error="certificate"), False),
        (exceptions.NoCredentialsError(), False),
        (exceptions.ParamValidationError(report="r"), False),
    ],
)
def test_what_got_no_answer_passes_and_what_was_not_sent_does_not(error: Exception, passing: bool) -> None:
    """A certificate, a parameter or missing keys stay as they are; a read timeout is the endpoint's own load."""
    assert passing is failures.of_exception(error).passing


def test_what_no_attempt_will_mend_is_tried_once(stub: Stub, monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    """Missing credentials and wrong arguments pass through as boto3's own errors, without a wait."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    waits: list[float] = []
    with pytest.raises(NoCredentialsError):
        RerankClient("e", sleep=waits.append).rerank("q", ["a"])
    with pytest.raises(ParamValidationError):
        RerankClient("e", client=runtime(Wire(scored)), sleep=waits.append).rerank("q", ["a"], custom_attributes=3)  # type: ignore[arg-type]

    assert ([], 0) == (waits, stub.count)


def test_sagemaker_is_outwaited(stub: Stub) -> None:
    """SageMaker cuts at 60 s: a client that gave up sooner would see its own timeout instead of the reason."""
    assert 70 == RerankClient("e")._runtime().meta.config.read_timeout


def test_waits_double_up_to_the_cap() -> None:
    """Full jitter is uniform between 0 and these."""
    drawn: list[tuple[float, float]] = []
    waits = failures.backoff_s(6, base_s=0.2, cap_s=1.0, uniform=lambda low, high: drawn.append((low, high)) or high)

    assert [0.2, 0.4, 0.8, 1.0, 1.0] == list(waits)
    assert {0.0} == {low for low, _ in drawn}


def test_the_clients_own_waits_are_capped(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """backoff_base_s and backoff_cap_s reach the jitter."""
    monkeypatch.setattr(failures.backoff_s, "__kwdefaults__", {"uniform": lambda low, high: high})
    waits: list[float] = []
    wire = Wire(lambda _: (503, {"x-amzn-errortype": "ServiceUnavailable"}, b"{}"))
    sending = RerankClient("e", client=runtime(wire), sleep=waits.append, backoff_base_s=1.0, backoff_cap_s=1.5)
    with pytest.raises(EndpointFailed):
        sending.rerank("q", ["a"])

    assert [1.0, 1.5, 1.5] == waits


def test_no_body_is_longer_than_max_payload_bytes(runtime: Runtime) -> None:
    """Serverless endpoints take less than the default; one document that does not fit is refused by its index."""
    wire = Wire(scored)
    sending = RerankClient("e", client=runtime(wire), max_payload_bytes=200)
    answer = sending.rerank("q", ["x" * 60] * 5)
    with pytest.raises(DocumentTooLarge) as caught:
        sending.rerank("q", ["a", "x" * 300])

    assert answer.requests == len(wire.bodies) > 1
    assert max(map(len, wire.bodies)) <= 200
    assert 1 == caught.value.index


def test_as_many_requests_as_allowed_are_in_flight(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """max_concurrency of them: not fewer, for three meet; not more, for there are three threads."""
    together, made = threading.Barrier(3), []

    def meeting(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        together.wait(20)  # passes only when three are here
        return scored(body)

    monkeypatch.setattr(client, "ThreadPoolExecutor", _counting(ThreadPoolExecutor, made))
    sending = RerankClient("e", client=runtime(Wire(meeting)), max_documents_per_request=1, max_concurrency=3)
    answer = sending.rerank("q", ["a", "b", "c", "d", "e", "f"])

    assert 6 == answer.requests
    assert [3] == [pool._max_workers for pool in made]


def test_custom_attributes_go_with_each_request_and_come_back_in_order(runtime: Runtime) -> None:
    """One entry a request, in the order of the caller's documents; model and tokens are those of all requests."""

    def echoing(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        status, headers, answer = scored(body)
        return status, headers | {"X-Amzn-SageMaker-Custom-Attributes": f"first={body['documents'][0]}"}, answer

    wire = Wire(echoing)
    sending = RerankClient("e", client=runtime(wire), max_documents_per_request=1)
    answer = sending.rerank("q", ["a", "b", "c"], custom_attributes="trace=7")

    assert ["trace=7"] * 3 == [headers["X-Amzn-SageMaker-Custom-Attributes"] for headers in wire.headers]
    assert ("first=a", "first=b", "first=c") == answer.custom_attributes
    assert (3, 3, "by-length") == (answer.requests, answer.total_tokens, answer.model)


def test_a_client_is_shared_between_threads(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that call at once share one boto3 client, which takes seconds to make."""
    import boto3

    sessions: list[Any] = []
    monkeypatch.setattr(boto3.session, "Session", _counting(boto3.session.Session, sessions))
    shared, start = RerankClient("e"), threading.Barrier(4)

    def ask(_: int) -> int:
        start.wait(20)
        return len(shared.rerank("q", ["a"]).results)

    with ThreadPoolExecutor(4) as pool:
        assert [1, 1, 1, 1] == list(pool.map(ask, range(4)))
    assert (4, 1) == (stub.count, len(sessions))


def _counting(make: Any, made: list[Any]) -> Any:
    def build(*arguments: Any, **options: Any) -> Any:
        made.append(make(*arguments, **options))
        return made[-1]

    return build


@pytest.mark.parametrize("name", ["max_documents_per_request", "max_concurrency", "max_attempts"])
def test_limits_below_one_are_refused(name: str) -> None:
    """Before any request."""
    with pytest.raises(InvalidCall, match="must be at least 1"):
        RerankClient("e", **{name: 0})
