"""The WSGI application in front: our own paths, InvokeEndpoint, and moto for the rest.

Browsers are kept out. A page of any web site could otherwise upload a model here and have it started, since moto
answers every origin: requests that carry an Origin, or that name another host than this machine, are refused. So are
requests that are signed with the keys of another AWS: see `identity`.
"""

import io
import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from rerank_local.data.endpoints.fleet import EndpointFleet
from rerank_local.data.endpoints.runtime import is_runtime_path, wsgi_invoke
from rerank_local.identity import service_of, signed_with
from rerank_local.refusal import foreign_key
from rerank_local.state import HEALTH_PATH, STATUS_PATH

_RESET_PATH = "/moto-api/reset"
_QUESTION_BYTES = 64 * 1024  # GetCallerIdentity has no parameters: its body is a fraction of this

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

    def stranger(self, key: str) -> str | None:
        """Why a request signed with this access key id is not for us; None when it is."""


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
        if path == HEALTH_PATH:
            return _json(start_response, "200 OK", self._plane.health())
        if path == STATUS_PATH:
            return _json(start_response, "200 OK", self._plane.status())
        key = signed_with(environ)
        if key is not None and (problem := self._plane.stranger(key)) and not _asks_the_cdk_who_it_is(environ):
            status, headers, body = foreign_key(environ, problem)
            start_response(status, headers)
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
        if is_runtime_path(path):
            return wsgi_invoke(self._plane.fleet, environ, start_response)
        if path == _RESET_PATH and environ.get("REQUEST_METHOD") == "POST":
            self._plane.reset()
        reply: Iterable[bytes] = self._moto(environ, start_response)
        return reply


def _asks_the_cdk_who_it_is(environ: dict[str, Any]) -> bool:
    """Whether it is the CDK CLI's first question, GetCallerIdentity, which changes nothing and is answered.

    The CLI swallows the refusal of this question and says "Unable to resolve AWS account"; that of the next it shows.
    """
    announced = str(environ.get("CONTENT_LENGTH") or "")
    length = int(announced) if announced.isdigit() else 0
    if service_of(environ) != "sts" or "aws-cdk" not in environ.get("HTTP_USER_AGENT", "") or length > _QUESTION_BYTES:
        return False
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    return b"Action=GetCallerIdentity" in body


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
