"""What a failed call means: which failures pass, which do not, and what the container had to say. Pure.

SageMaker wraps every 4xx and 5xx of the container into ModelError (HTTP 424) with OriginalStatusCode and
OriginalMessage (the first 2,048 characters of the container's body). botocore retries none of these.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rerank_client.errors import EndpointFailed, EndpointNotFound, RequestRejected, RerankClientError

RETRIED_STATUSES = frozenset({429, 502, 503, 504, 507})  # of the container; a 500 is a fault that would come back
_PASSING_CODES = frozenset(
    {
        "InternalDependencyException",
        "InternalFailure",
        "InternalServerException",
        "ModelNotReadyException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_UNREACHABLE = frozenset(
    {
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "IncompleteReadError",
        "ProxyConnectionError",
        "ResponseStreamingError",
    }
)
_PASSING_HTTP = frozenset({429, 500, 502, 503, 504, 530})  # of SageMaker's own front end


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt.

    Attributes:
        code: AWS's name of the error.
        status: the container's status for a ModelError, else that of SageMaker's front end; None without an answer.
        message: the container's body for a ModelError, else AWS's message.
        from_model: whether the container itself answered.
        passing: whether another attempt makes sense.
    """

    code: str
    status: int | None
    message: str
    from_model: bool = False
    passing: bool = False


def of_exception(error: Exception) -> Failure:
    """From anything botocore raises.

    A call that got no answer is passing: reranking changes nothing, so it may be sent twice. Not so after a read
    timeout (the endpoint is busy with the first) nor for errors that no attempt will mend (credentials, parameters).
    """
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return of_client_error(response)
    name = type(error).__name__
    return Failure(name, None, str(error), passing=name in _UNREACHABLE)


def of_client_error(response: dict[str, Any]) -> Failure:
    """From `ClientError.response`."""
    error = response.get("Error", {})
    code = str(error.get("Code", "Unknown"))
    if code == "ModelError":
        status = int(response.get("OriginalStatusCode") or 500)
        message = str(response.get("OriginalMessage") or error.get("Message", ""))
        return Failure(code, status, message, from_model=True, passing=status in RETRIED_STATUSES)
    http = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return Failure(code, http, str(error.get("Message", "")), passing=code in _PASSING_CODES or http in _PASSING_HTTP)


def to_error(failure: Failure, *, endpoint_name: str, attempts: int) -> RerankClientError | None:
    """What to raise; None when boto3's own error says it best (permissions, a malformed call)."""
    if failure.from_model and failure.status is not None and 400 <= failure.status < 500 and not failure.passing:
        message, code, request_id, fields = unwrap(failure.message)
        return RequestRejected(message, status=failure.status, code=code, request_id=request_id, fields=fields)
    if failure.from_model or failure.passing:
        message, code, _, _ = unwrap(failure.message)
        said = f"Endpoint {endpoint_name!r} answered {failure.status or failure.code}"
        times = f" in each of {attempts} attempts" if attempts > 1 else ""
        return EndpointFailed(
            f"{said}{times}: {message}", status=failure.status, code=code or failure.code, attempts=attempts
        )
    if failure.code in {"ValidationError", "ValidationException"} and "not found" in failure.message.lower():
        return EndpointNotFound(
            f"No endpoint {endpoint_name!r} in this account and region.",
            tip="Check the name and AWS_REGION; the deployment's SSM parameter endpoint-name holds it.",
        )
    return None


def unwrap(original: str) -> tuple[str, str | None, str | None, tuple[tuple[str, str], ...]]:
    """(message, code, request id, wrong fields) of the container's error body; any text at all is accepted."""
    try:
        body = json.loads(original)
    except ValueError:
        return original.strip() or "(no message)", None, None, ()
    if not isinstance(body, dict):
        return original, None, None, ()
    detail = body.get("detail", body.get("message", original))
    inner = detail if isinstance(detail, dict) else {"message": detail, **body}
    entries = body.get("errors")
    listed = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    fields = tuple((str(entry.get("field", "")), str(entry.get("message", ""))) for entry in listed)
    return str(inner.get("message", detail)), _optional(inner.get("code")), _optional(inner.get("request_id")), fields


def backoff_s(
    attempts: int, *, base_s: float, cap_s: float, uniform: Callable[[float, float], float] = random.uniform
) -> Iterator[float]:
    """Seconds to wait before each further attempt: full jitter, uniform in [0, min(cap, base * 2^n)].

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    for retry in range(attempts - 1):
        yield uniform(0.0, min(cap_s, base_s * 2**retry))


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
