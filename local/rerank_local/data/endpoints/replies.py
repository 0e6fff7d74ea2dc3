"""What sagemaker-runtime answers, byte for byte as boto3 parses it: success and its errors, in AWS's wording."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

MAX_MESSAGE = 2048  # characters of OriginalMessage
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A finished answer; status as WSGI wants it, such as `200 OK`."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model runs, for the messages that point to its log."""

    endpoint: str
    region: str
    account_id: str

    @property
    def console(self) -> str:
        """The link AWS puts into ModelError messages."""
        return (
            f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
            f"#logEventViewer:group=/aws/sagemaker/Endpoints/{self.endpoint}"
        )

    @property
    def log_stream_arn(self) -> str:
        """The log group, as an ARN."""
        return f"arn:aws:logs:{self.region}:{self.account_id}:log-group:/aws/sagemaker/Endpoints/{self.endpoint}"


def success(body: bytes, content_type: str | None, variant: str, attributes: str | None) -> HttpReply:
    """200 with the container's body."""
    headers = [
        ("Content-Type", content_type or "application/octet-stream"),
        ("x-Amzn-Invoked-Production-Variant", variant),
    ]
    if attributes is not None:
        headers.append(("X-Amzn-SageMaker-Custom-Attributes", attributes))
    return _reply(200, headers, body)


def validation_error(message: str) -> HttpReply:
    """400 ValidationError: the request, or the endpoint's state."""
    return _error(400, "ValidationError", {"Message": message})


def too_large(size_bytes: int, limit_bytes: int) -> HttpReply:
    """413 with AWS's words, and the size. AWS itself sends no error code here; boto3 then shows 413 as the code."""
    message = f"HTTP content length exceeded {limit_bytes} bytes: the request has {size_bytes} bytes."
    return _error(413, "ValidationError", {"Message": message})


def model_error(where: Place, status: int, message: str) -> HttpReply:
    """424 ModelError for a container that answered `status` with `message`."""
    side = "client" if 400 <= status < 500 else "server"
    shown = message[:MAX_MESSAGE]
    return _model_error(where, status, shown, f'Received {side} error ({status}) from primary with message "{shown}".')


def timed_out(where: Place) -> HttpReply:
    """424 ModelError for no answer within 60 s; AWS gives it the original status 0."""
    message = (
        "Your invocation timed out while waiting for a response from container primary. Review the latency metrics "
        "for each container in Amazon CloudWatch, resolve the issue, and try again."
    )
    return _model_error(where, 0, message, f'Received server error (0) from primary with message "{message}".')


def unreadable(where: Place, why: str) -> HttpReply:
    """424 ModelError for an answer that is too large, cut off, or not HTTP."""
    text = "Received server error (500) from primary and could not load the entire response body."
    return _model_error(where, 500, why[:MAX_MESSAGE], text)


def constraint(value: str, field: str, rule: str) -> str:
    """A failed constraint, in the words of AWS's request validation."""
    return f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must {rule}"


def _model_error(where: Place, status: int, original: str, text: str) -> HttpReply:
    message = f"{text} See {where.console} in account {where.account_id} for more information."
    return _error(
        424,
        "ModelError",
        {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if 400 <= status < 500 else "INTERNAL_FAILURE_FROM_MODEL",
            "LogStreamArn": where.log_stream_arn,
            "Message": message,
            "OriginalMessage": original,
            "OriginalStatusCode": status,
        },
    )


def _error(status: int, kind: str, fields: dict[str, Any]) -> HttpReply:
    body = json.dumps(fields).encode()
    return _reply(status, [("Content-Type", "application/json"), ("x-amzn-ErrorType", kind)], body)


def _reply(status: int, headers: list[tuple[str, str]], body: bytes) -> HttpReply:
    always = [("x-amzn-RequestId", str(uuid.uuid4())), ("Content-Length", str(len(body)))]
    return HttpReply(f"{status} {HTTPStatus(status).phrase}", tuple(headers + always), body)
