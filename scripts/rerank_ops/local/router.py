"""The WSGI application in front: our own paths, InvokeEndpoint, and moto for the rest.

Browsers are kept out. A page of any web site could otherwise upload a model here and have it started, since moto
answers every origin: requests that carry an Origin, or that name another host than this machine, are refused.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from rerank_ops.local.data.endpoints import EndpointFleet
from rerank_ops.local.data.runtime import is_runtime_path, wsgi_invoke
from rerank_ops.local.state import HEALTH_PATH, STATUS_PATH

_RESET_PATH = "/moto-api/reset"

Answer = Callable[..., Any]


class Plane(Protocol):
    """What the router asks of the server."""

    fleet: EndpointFleet

    def health(self) -> dict[str, Any]:
        """Who we are."""

    def status(self) -> dict[str, Any]:
        """What is running."""

    def reset(self) -> None:
        """Stops every process; moto forgets the rest."""


class Router:
    """Routes each request by its path."""

    def __init__(self, plane: Plane, moto: Any) -> None:
        self._plane = plane
        self._moto = moto

    def __call__(self, environ: dict[str, Any], start_response: Answer) -> Iterable[bytes]:
        """Answers one request."""
        if problem := _foreign(environ):
            return _json(start_response, "403 Forbidden", {"message": problem})
        path = environ.get("PATH_INFO", "")
        if is_runtime_path(path):
            return wsgi_invoke(self._plane.fleet, environ, start_response)
        if path == HEALTH_PATH:
            return _json(start_response, "200 OK", self._plane.health())
        if path == STATUS_PATH:
            return _json(start_response, "200 OK", self._plane.status())
        if path == _RESET_PATH and environ.get("REQUEST_METHOD") == "POST":
            self._plane.reset()
        reply: Iterable[bytes] = self._moto(environ, start_response)
        return reply


def _foreign(environ: dict[str, Any]) -> str | None:
    if environ.get("HTTP_ORIGIN") or environ.get("HTTP_SEC_FETCH_SITE"):
        return "The AWS on this machine does not talk to browsers."
    host = environ.get("HTTP_HOST", "").rsplit(":", 1)[0].lower()
    if host in ("127.0.0.1", "localhost") or host.endswith(".localhost"):
        return None
    return f"The AWS on this machine is not {host or 'a host without name'}: use http://127.0.0.1."


def _json(start_response: Answer, status: str, value: Any) -> list[bytes]:
    body = json.dumps(value, default=str).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
