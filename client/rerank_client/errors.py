"""Every error the client raises on purpose, as a tree.

RerankClientError
├── InvalidCall         the call's own arguments cannot be sent
│   └── DocumentTooLarge    one document with the query exceeds the payload limit: it cannot be split
├── RequestRejected     the model's server refused the request (4xx): status, code, fields
├── EndpointNotFound    no endpoint of this name in this account and region
├── EndpointFailed      the endpoint kept failing (5xx, throttling, unreachable): status, attempts
└── BadResponse         the answer is not a rerank answer

Anything else boto3 raises (credentials, permissions) passes through as it is.
"""


class RerankClientError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        tip: what the reader can do about it; None when the message already says it.
    """

    def __init__(self, message: str, *, tip: str | None = None) -> None:
        super().__init__(message)
        self.tip = tip


class InvalidCall(RerankClientError):
    """The call's own arguments cannot be sent."""


class DocumentTooLarge(InvalidCall):
    """One document and the query together exceed the payload limit.

    Attributes:
        index: the document's position in the caller's list.
    """

    def __init__(self, index: int, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"Document {index} makes a request of {size_bytes:,} bytes; the limit is {limit_bytes:,}.",
            tip="The model reads some thousand tokens of a document at most: cut or chunk it before the call.",
        )
        self.index = index


class RequestRejected(RerankClientError):
    """The model's server refused the request: sending it again will not help.

    Attributes:
        status: HTTP status the container answered with, 4xx.
        code: machine-readable kind, as the container names it; None when it does not.
        request_id: the container's id of the request, to find it in the logs; None when it gives none.
        fields: what is wrong with which field, as the container lists it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        request_id: str | None = None,
        fields: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.request_id, self.fields = status, code, request_id, fields


class EndpointNotFound(RerankClientError):
    """No endpoint of this name in this account and region."""


class EndpointFailed(RerankClientError):
    """The endpoint failed, or could not be reached, in every attempt.

    Attributes:
        status: the last HTTP status; None when there was no answer.
        code: the last error's name.
        attempts: how many times it was tried.
    """

    def __init__(self, message: str, *, status: int | None, code: str, attempts: int) -> None:
        super().__init__(message, tip="Look at the endpoint's alarms and logs; `rerank doctor` checks the account.")
        self.status, self.code, self.attempts = status, code, attempts


class BadResponse(RerankClientError):
    """The endpoint answered 200 with something that is not a rerank answer."""
