"""The connection pool against servers that answer in every way HTTP allows, and in some it does not."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from rerank_local.data.container.connections import ConnectionPool
from rerank_local.data.errors import ContainerUnavailable, InvocationTimedOut, ResponseBroken

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nok"
Serve = Callable[..., ConnectionPool]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that answers the n-th connection with the n-th list: bytes to send, or None to stay silent."""
    listening = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()
    pools: list[ConnectionPool] = []

    def answer_one(connection: socket.socket, answers: list[bytes | None]) -> None:
        with connection:
            for answer in answers:
                if not connection.recv(65_536):
                    break
                if answer is None:
                    done.wait(10)
                else:
                    connection.sendall(answer)

    def play(*connections: list[bytes | None]) -> ConnectionPool:
        def run() -> None:
            for answers in connections:
                with contextlib.suppress(OSError):  # the test may end before the last connection comes
                    answer_one(listening.accept()[0], answers)

        threading.Thread(target=run, daemon=True).start()
        pools.append(ConnectionPool(listening.getsockname()[1]))
        return pools[0]

    yield play
    done.set()
    listening.close()
    for pool in pools:
        pool.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_every_framing_is_read_to_its_end(serve: Serve, answer: bytes, body: bytes) -> None:
    """By length, in chunks, until the connection closes, or without a body."""
    assert body == serve([answer]).request("GET", "/", timeout_s=5).body


def test_header_names_are_lower_case(serve: Serve) -> None:
    """So that callers need one spelling."""
    assert "1" == serve([OK]).request("GET", "/", timeout_s=5).headers["x-a"]


def test_a_connection_that_closes_instead_of_answering_is_replaced_once(serve: Serve) -> None:
    """On a kept connection the request is sent again; on a fresh one the process is unavailable."""
    pool = serve([OK, b""], [OK], [])

    assert [b"ok", b"ok"] == [pool.request("GET", "/", timeout_s=5).body for _ in range(2)]


def test_a_fresh_connection_that_closes_is_an_unavailable_process(serve: Serve) -> None:
    """Nothing is repeated that a process may have died of."""
    with pytest.raises(ContainerUnavailable):
        serve([b""], [OK]).request("GET", "/", timeout_s=5)


def test_nobody_listening_is_an_unavailable_process() -> None:
    """Refused at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ContainerUnavailable, match="does not answer"):
        ConnectionPool(port).request("GET", "/", timeout_s=5)


@pytest.mark.parametrize("answers", [[None], [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", None]])
def test_silence_is_a_timeout_before_and_within_the_answer(serve: Serve, answers: list[bytes | None]) -> None:
    """The time allowed is for the whole answer."""
    with pytest.raises(InvocationTimedOut):
        serve(answers).request("GET", "/", timeout_s=0.2)


@pytest.mark.parametrize(
    "answer", [b"not http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"]
)
def test_what_is_not_http_is_a_broken_response(serve: Serve, answer: bytes) -> None:
    """Garbage, or chunks that stop."""
    with pytest.raises(ResponseBroken):
        serve([answer]).request("GET", "/", timeout_s=5)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n",
    ],
)
def test_a_response_over_the_limit_is_not_read_on(serve: Serve, answer: bytes) -> None:
    """Announced or not, more than the limit is an error; the limit itself is fine."""
    with pytest.raises(ResponseBroken, match=r"6 bytes|more than 5"):
        serve([answer], [answer]).request("GET", "/", timeout_s=5, max_response_bytes=5)


def test_an_early_refusal_of_a_large_body_is_still_heard(serve: Serve) -> None:
    """A server that answers 413 and closes before it has read everything: its answer counts, not the broken pipe."""
    pool = serve([b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"])
    reply = pool.request("POST", "/", b"x" * 100_000, timeout_s=5)

    assert (413, b"big") == (reply.status, reply.body)
