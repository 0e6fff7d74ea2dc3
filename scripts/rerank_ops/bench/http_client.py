"""As little HTTP as a load test needs: requests over kept connections, the standard library alone."""

import asyncio

Answer = tuple[int, dict[str, str], bytes]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client:
    """Requests to one server; connections are kept and used again.

    Args:
        host: where it is.
        port: and its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[Connection] = []

    async def status(self, path: str) -> int:
        """The status of a GET; 0 when nobody listens."""
        try:
            return (await self.get(path))[0]
        except (OSError, EOFError):
            return 0

    async def get(self, path: str) -> Answer:
        """GET: status, headers by lower-case name, body."""
        return await self._ask(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())

    async def post(self, path: str, body: bytes) -> Answer:
        """POST of JSON: status, headers by lower-case name, body. Raises OSError and EOFError when cut off."""
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        return await self._ask(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def _ask(self, request: bytes) -> Answer:
        reader, writer = self._kept() or await asyncio.open_connection(self._host, self._port)
        keep = False
        try:
            writer.write(request)
            status = int((await reader.readuntil(b"\r\n")).split()[1])
            headers: dict[str, str] = {}
            while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            keep = headers.get("connection", "").lower() != "close"
        finally:
            if keep:
                self._idle.append((reader, writer))
            else:
                writer.close()
        return status, headers, body

    def _kept(self) -> Connection | None:
        """A connection that is still open: servers close those that were idle for long."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None
