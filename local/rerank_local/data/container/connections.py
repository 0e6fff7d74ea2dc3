"""HTTP to one model process on this machine, over connections that are kept and reused."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from rerank_local.data.errors import ContainerUnavailable, InvocationTimedOut, ResponseBroken

CONNECT_TIMEOUT_S = 2.0  # SageMaker wants sockets accepted within 250 ms; a busy laptop may need longer
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What the process answered.

    Attributes:
        headers: names in lower case; of repeated ones the last.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionPool:
    """Requests to 127.0.0.1:port, each on an idle connection if there is one. Safe for many threads.

    An idle connection that the server has closed meanwhile is noticed and replaced; a request is sent a second time
    only if it went out on such a connection and not a byte came back.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
        max_response_bytes: int | None = None,
    ) -> Reply:
        """Sends one request and reads the whole answer, both within `timeout_s` seconds.

        Raises:
            ContainerUnavailable: nobody listens, or the connection broke before an answer began.
            InvocationTimedOut: no complete answer in time.
            ResponseBroken: the answer is cut off, larger than `max_response_bytes`, or not HTTP.
        """
        deadline = time.monotonic() + timeout_s
        connection, reused = self._take()
        for again in (reused, False):
            try:
                response = self._send(connection, method, path, body, headers or {}, deadline)
                break
            except TimeoutError:
                connection.close()
                raise InvocationTimedOut(f"No answer from {path} within {timeout_s:g} s.") from None
            except (http.client.RemoteDisconnected, ConnectionError) as error:
                connection.close()
                if not again:
                    raise ContainerUnavailable(f"The model process does not answer: {error}.") from error
                connection = self._connection()
            except (http.client.HTTPException, OSError) as error:
                connection.close()
                raise ResponseBroken(f"The model process did not answer in HTTP: {error!r}.") from error
        try:
            content = _read(connection, response, deadline, max_response_bytes)
        except TimeoutError:
            connection.close()
            raise InvocationTimedOut(f"No complete answer from {path} within {timeout_s:g} s.") from None
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            raise ResponseBroken(f"The answer broke off: {error!r}.") from error
        except ResponseBroken:
            connection.close()
            raise
        self._give_back(connection, response)
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def close(self) -> None:
        """Closes what is idle; connections in use are closed when their request ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=CONNECT_TIMEOUT_S)

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connection(), False
            if _is_open(connection.sock):
                return connection, True
            connection.close()

    def _give_back(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        if response.will_close or connection.sock is None:
            connection.close()
            return
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    @staticmethod
    def _send(
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        deadline: float,
    ) -> http.client.HTTPResponse:
        if connection.sock is None:
            try:
                connection.connect()
            except TimeoutError:
                raise ConnectionRefusedError(f"no connection within {CONNECT_TIMEOUT_S:g} s") from None
        connection.sock.settimeout(_remaining(deadline))
        # A server may answer (413) and close before it has read the body: the answer counts.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body, dict(headers))
        connection.sock.settimeout(_remaining(deadline))
        return connection.getresponse()


def _remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _is_open(sock: socket.socket | None) -> bool:
    """Whether an idle connection still stands: there is nothing to read on it, not even its end."""
    if sock is None:
        return False
    try:
        sock.settimeout(0)
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _read(
    connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float, limit: int | None
) -> bytes:
    if limit is not None and response.length is not None and response.length > limit:
        raise ResponseBroken(f"The answer has {response.length:,} bytes, the limit is {limit:,}.")
    parts: list[bytes] = []
    size = 0
    while response.length != 0:
        if connection.sock is not None:  # the response owns the socket once the server is to close it
            connection.sock.settimeout(_remaining(deadline))
        part = response.read1(_CHUNK_BYTES)  # at most one recv: the deadline is looked at in between
        if not part:
            break
        parts.append(part)
        size += len(part)
        if limit is not None and size > limit:
            raise ResponseBroken(f"The answer has more than {limit:,} bytes.")
    if response.length:
        raise ResponseBroken(f"The answer broke off {response.length:,} bytes before its end.")
    response.close()  # not the connection: it is free for the next request
    return b"".join(parts)
