"""HTTP over ASGI, as little as is needed: headers, a body with a limit, an answer. https://asgi.readthedocs.io"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from rerank_engine.errors import PayloadTooLarge, RequestError, UnsupportedMediaType
from rerank_engine.service.exchange import HttpReply

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class NotFound(RequestError):
    """No such path."""

    status = 404
    code = "not_found"


class MethodNotAllowed(RequestError):
    """The path exists, for other methods."""

    status = 405
    code = "method_not_allowed"


class ClientGone(Exception):
    """The caller closed the connection: nobody reads an answer."""


class Call:
    """One HTTP request of which the body is not read yet."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = _headers(scope["headers"])
        self.arrived = False  # whether the body was read to its end
        self._receive = receive

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body.

        Raises:
            PayloadTooLarge: it is, or says that it will be, longer than the limit; the rest is not read.
            UnsupportedMediaType: it is compressed.
            ClientGone: the connection ended before the body did.
        """
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise UnsupportedMediaType(f"Content-Encoding {encoding[:40]!r} is not read.", tip="Send it uncompressed.")
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit_bytes:
            raise PayloadTooLarge(f"The body has {declared} bytes; at most {limit_bytes} are read.")
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > limit_bytes:
                raise PayloadTooLarge(f"The body has more than {limit_bytes} bytes, the most that are read.")
            parts.append(part)
            if not message.get("more_body", False):
                self.arrived = True
                return b"".join(parts)

    async def disconnected(self) -> None:
        """Returns when the caller has gone; to be called after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def send_reply(send: Send, reply: HttpReply, *, head: bool = False, close: bool = False) -> None:
    """Send an answer; for HEAD everything but the body. `close` ends the connection after it."""
    headers = [("content-type", reply.content_type)] if reply.body else []
    headers += [("connection", "close")] if close else []
    headers += [*reply.headers.items(), ("content-length", str(len(reply.body)))]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Header values by lower-case name; repeated ones are joined with a comma (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
