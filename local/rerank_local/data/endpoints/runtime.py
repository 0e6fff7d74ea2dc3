"""The sagemaker-runtime service, as WSGI: InvokeEndpoint in front of the model processes.

Limits, headers and error shapes are those of the service model (botocore 1.44, sagemaker-runtime) and of answers of
the real service quoted in public issues; `replies` holds the wording. What AWS does with a response over 6 MB is not
written down: callers report ModelError 500 "could not load the entire response body", which is what is answered here.

InvokeEndpointAsync and InvokeEndpointWithResponseStream are refused, as are headers that ask for multi-model endpoints,
inference components, sessions or explanations.
"""

import re
from collections.abc import Iterable, Mapping
from typing import IO, Any

from rerank_local.data.endpoints import replies
from rerank_local.data.endpoints.fleet import EndpointFleet
from rerank_local.data.endpoints.replies import HttpReply, StartResponse
from rerank_local.data.errors import (
    ContainerUnavailable,
    EndpointNotInService,
    InvocationTimedOut,
    ResponseBroken,
    UnknownEndpoint,
    UnknownVariant,
)

MAX_BODY_BYTES = 6_291_456  # both ways
_DRAIN_BYTES = 256 * 1024 * 1024  # of a refused body, so that the refusal arrives; more than that is cut off
_PART_BYTES = 1024 * 1024
_PATH = re.compile(r"/endpoints/(?P<name>[^/]+)/(?P<verb>invocations|async-invocations|invocations-response-stream)")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_VISIBLE = re.compile(r"[\t\x20-\x7e]*")
_INFERENCE_ID = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,63}")
_REFUSED_VERBS = {
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_REFUSED_HEADERS = {
    "HTTP_X_AMZN_SAGEMAKER_TARGET_MODEL": "TargetModel",
    "HTTP_X_AMZN_SAGEMAKER_TARGET_CONTAINER_HOSTNAME": "TargetContainerHostname",
    "HTTP_X_AMZN_SAGEMAKER_INFERENCE_COMPONENT": "InferenceComponentName",
    "HTTP_X_AMZN_SAGEMAKER_SESSION_ID": "SessionId",
    "HTTP_X_AMZN_SAGEMAKER_ENABLE_EXPLANATIONS": "EnableExplanations",
}
# What the caller may send, and the name under which the container gets it; every other header is stripped.
_FORWARDED = {
    "CONTENT_TYPE": "Content-Type",
    "HTTP_ACCEPT": "Accept",
    "HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES": "X-Amzn-SageMaker-Custom-Attributes",
    "HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID": "X-Amzn-SageMaker-Inference-Id",
}
Environ = Mapping[str, Any]


def is_runtime_path(path: str) -> bool:
    """Whether a request belongs to sagemaker-runtime."""
    return _PATH.fullmatch(path) is not None


def wsgi_invoke(fleet: EndpointFleet, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers one request of sagemaker-runtime; never raises for what a caller or a model does."""
    reply = _invoke(fleet, environ)
    start_response(reply.status, list(reply.headers))
    return [reply.body]


def _invoke(fleet: EndpointFleet, environ: Environ) -> HttpReply:
    body, size = _read_body(environ)
    found = _PATH.fullmatch(environ.get("PATH_INFO", ""))
    if found is None or environ.get("REQUEST_METHOD") != "POST":
        return replies.validation_error("sagemaker-runtime takes POST /endpoints/<name>/invocations.")
    name = found["name"]
    problem = _problem(name, found["verb"], environ)
    if problem:
        return replies.validation_error(problem)
    if body is None:
        return replies.too_large(size, MAX_BODY_BYTES)
    headers = {theirs: environ[ours] for ours, theirs in _FORWARDED.items() if environ.get(ours)}
    where = replies.Place(name, fleet.region, fleet.account_id)
    try:
        with fleet.route(name, environ.get("HTTP_X_AMZN_SAGEMAKER_TARGET_VARIANT")) as (variant, container):
            try:
                answer = container.request(
                    "POST",
                    "/invocations",
                    body,
                    headers,
                    timeout_s=fleet.invocation_timeout_s,
                    max_response_bytes=MAX_BODY_BYTES,
                )
            except InvocationTimedOut:
                return replies.timed_out(where)
            except ContainerUnavailable as error:
                return replies.model_error(where, 503, str(error))
            except ResponseBroken as error:
                return replies.unreadable(where, str(error))
    except UnknownVariant as error:
        return replies.validation_error(f"Variant not found for request: {error}")
    except (UnknownEndpoint, EndpointNotInService) as error:
        return replies.validation_error(str(error))
    attributes = answer.headers.get("x-amzn-sagemaker-custom-attributes")
    if not 200 <= answer.status < 300:
        return replies.model_error(where, answer.status, answer.body.decode("utf-8", "replace"))
    if attributes is not None and _attributes_problem(attributes):
        return replies.model_error(where, 500, f"The container's custom attributes: {_attributes_problem(attributes)}")
    return replies.success(answer.body, answer.headers.get("content-type"), variant, attributes)


def _problem(name: str, verb: str, environ: Environ) -> str | None:
    if not _NAME.fullmatch(name):
        return replies.constraint(name, "endpointName", f"satisfy regular expression pattern: {_NAME.pattern}")
    if verb in _REFUSED_VERBS:
        return f"{_REFUSED_VERBS[verb]} is not offered by the AWS on this machine. Use InvokeEndpoint."
    for header, field in _REFUSED_HEADERS.items():
        if environ.get(header):
            return f"{field} is not offered by the AWS on this machine: its endpoints hold one model per variant."
    problem = _attributes_problem(environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES") or "")
    if problem:
        return problem
    identity = environ.get("HTTP_X_AMZN_SAGEMAKER_INFERENCE_ID")
    if identity and not _INFERENCE_ID.fullmatch(identity):
        return replies.constraint(
            identity, "inferenceId", "have 1 to 64 printable characters and not start with a space"
        )
    return None


def _attributes_problem(value: str) -> str | None:
    if len(value) > 1024:
        return replies.constraint(
            f"{len(value)} characters", "customAttributes", "have length less than or equal to 1024"
        )
    if not _VISIBLE.fullmatch(value):
        return replies.constraint(value, "customAttributes", "satisfy regular expression pattern: \\p{ASCII}*")
    return None


def _read_body(environ: Environ) -> tuple[bytes | None, int]:
    """The request's body (None when over the limit) and its size in bytes.

    A body over the limit is read all the same: closing on it would reset the connection before the refusal arrives.
    """
    source: IO[bytes] = environ["wsgi.input"]
    announced = environ.get("CONTENT_LENGTH") or ""
    end = _DRAIN_BYTES if environ.get("wsgi.input_terminated") else 0  # chunked, or no body
    if announced.isdigit():
        end = int(announced)
    kept: list[bytes] = []
    size = 0
    while size < min(end, _DRAIN_BYTES):
        part = source.read(min(_PART_BYTES, end - size))
        if not part:
            break
        size += len(part)
        if size <= MAX_BODY_BYTES:
            kept.append(part)
    if size > MAX_BODY_BYTES:
        return None, max(size, int(announced) if announced.isdigit() else 0)
    return b"".join(kept), size
