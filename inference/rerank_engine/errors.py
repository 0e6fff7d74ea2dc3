"""Every error the engine raises, as a tree.

RerankError                     500  internal
├── SettingsError               500  bad_settings
├── CheckpointError             500  bad_checkpoint
├── InvalidRequest              422  invalid_request
│   (a RequestError; so are:)
├── MalformedBody               400  malformed_body
├── NotAcceptable               406  not_acceptable
├── PayloadTooLarge             413  payload_too_large
├── UnsupportedMediaType        415  unsupported_media_type
├── RequestTimeout              408  request_timeout
├── TooManyRequests             429  too_many_requests       (Retry-After)
├── Overloaded                  503  overloaded              (Retry-After)
├── NotReady                    503  model_not_loaded        (Retry-After)
├── OutOfMemory                 503  out_of_memory           (Retry-After)
├── DeadlineExceeded            504  deadline_exceeded
└── NotFinite                   500  not_finite

The status lives on the class: one table from error kind to HTTP status, read by every door. It says whose turn it is
to change something: 4xx the caller's, 5xx ours. So a queue that is full of everybody's requests is a 503, which alarms
and scaling look at, and a caller who alone has too many under way gets a 429, which more instances would not cure.
"""

from dataclasses import dataclass


class RerankError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        status: HTTP status a door answers with.
        code: stable machine-readable name, in snake case.
        tip: what the reader can do about it; None when the message already says it.
        retry_after_s: seconds after which a retry makes sense; None where the same would come back.
    """

    status: int = 500
    code: str = "internal"
    retry_after_s: int | None = None

    def __init__(self, message: str, *, tip: str | None = None) -> None:
        super().__init__(message)
        self.tip = tip

    @property
    def message(self) -> str:
        """What happened, with the offending value."""
        return str(self)


class SettingsError(RerankError):
    """A RERANK_* variable is unknown, malformed or out of bounds."""

    code = "bad_settings"


class CheckpointError(RerankError):
    """config.json, tokenizer.json, model.safetensors or bundle.json is missing, damaged or of an unknown kind."""

    code = "bad_checkpoint"


class RequestError(RerankError):
    """The caller's fault: 4xx."""

    status = 400
    code = "bad_request"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of a request body.

    Attributes:
        field: where it is, as a path of keys and positions: ("documents", 3, "text").
        message: what is wrong with it.
        type: machine-readable kind: missing, type, value.
        input: the offending value, shortened; None when it is missing.
    """

    field: tuple[str | int, ...]
    message: str
    type: str
    input: object = None


class InvalidRequest(RequestError):
    """The body is well-formed but its fields are not what the dialect takes."""

    status = 422
    code = "invalid_request"

    def __init__(self, message: str, *, fields: tuple[FieldError, ...] = (), tip: str | None = None) -> None:
        super().__init__(message, tip=tip)
        self.fields = fields


class MalformedBody(RequestError):
    """The body is not JSON, not UTF-8, or empty."""

    code = "malformed_body"


class NotAcceptable(RequestError):
    """The Accept header names no content type that can be produced."""

    status = 406
    code = "not_acceptable"


class PayloadTooLarge(RequestError):
    """The request, or the response it asks for, exceeds SageMaker's limit."""

    status = 413
    code = "payload_too_large"


class UnsupportedMediaType(RequestError):
    """The Content-Type is not one the endpoint reads."""

    status = 415
    code = "unsupported_media_type"


class RequestTimeout(RequestError):
    """The body did not arrive before the deadline."""

    status = 408
    code = "request_timeout"


class TooManyRequests(RequestError):
    """One caller has more requests under way than its share of the queue; others are served."""

    status = 429
    code = "too_many_requests"
    retry_after_s = 1


class Unavailable(RerankError):
    """Try again later: 503 with Retry-After."""

    status = 503
    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 1, tip: str | None = None) -> None:
        super().__init__(message, tip=tip)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """The queue is full, whoever filled it."""

    code = "overloaded"


class NotReady(Unavailable):
    """The model is still loading, failed to load, or its worker is dead."""

    code = "model_not_loaded"


class OutOfMemory(Unavailable):
    """The device ran out of memory even on the smallest batch."""

    code = "out_of_memory"


class DeadlineExceeded(RerankError):
    """The request was not answered before its deadline (below SageMaker's own 60 s)."""

    status = 504
    code = "deadline_exceeded"


class NotFinite(RerankError):
    """The model produced NaN or infinity: never passed on as a score."""

    code = "not_finite"
