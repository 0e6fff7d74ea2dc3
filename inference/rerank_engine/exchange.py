"""One call on its way through the doors: the records of its body, what became of each, and the reply."""

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from rerank_engine import wire
from rerank_engine.dialects import DEFAULT, Dialect, RerankRequest
from rerank_engine.errors import InvalidRequest, RerankError, Unavailable
from rerank_engine.media import JSON, MediaType
from rerank_engine.scoring import Outcome, Score, TokenIds
from rerank_engine.types import RerankResult

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_MOST_ATTRIBUTES = 1024


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An HTTP answer, before any server: every door turns one into its own terms."""

    status: int
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def phrase(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase


@dataclass(slots=True)
class Record:
    """One request of a body: the whole of a JSON body, one line of JSON Lines.

    Attributes:
        dialect: whose shape answers and errors take.
        id: the caller's own mark, echoed even in errors.
        request: None when it could not be read.
        prepared: the engine's tokenised pairs.
        result: None until scored, and after an error.
        error: what went wrong with this record alone.
    """

    dialect: Dialect = DEFAULT
    id: object = None
    request: RerankRequest | None = None
    prepared: Any = None
    tokenize_s: float = 0.0
    result: RerankResult | None = None
    error: RerankError | None = None

    @property
    def pairs(self) -> int:
        """Pairs this record adds to the forward pass."""
        return 0 if self.prepared is None else len(self.prepared.pairs)

    def error_in_place(self) -> object:
        """The line that stands where the answer would: the same shape in every dialect, and no random id in it."""
        error = self.error or RerankError("The record was not scored.")
        line: dict[str, object] = {} if self.id is None else {"id": self.id}
        line |= {"error": said(error), "status": error.status, "code": error.code}
        if isinstance(error, InvalidRequest) and error.fields:
            line["errors"] = [{"field": list(fault.field), "message": fault.message} for fault in error.fields]
        return line


@dataclass(slots=True)
class Exchange:
    """One call: what was asked, and what is known of the answer so far.

    Attributes:
        request_id: 32 hexadecimal digits, in error bodies and log lines.
        label: content type of the answer.
        attributes: the caller's custom attributes, to be echoed.
        records: one for JSON, one a line for JSON Lines.
        failure: an error of the call as a whole; records do not matter then.
        outcome: scores of all pairs of all records, in order.
    """

    request_id: str
    media: MediaType = field(default_factory=MediaType)
    label: str = JSON
    attributes: str | None = None
    records: list[Record] = field(default_factory=list)
    failure: RerankError | None = None
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def pairs(self) -> list[TokenIds]:
        """Token ids of every pair to score: those of all records, to be packed together."""
        ready = (record for record in self.records if record.prepared is not None)
        return [pair.ids for record in ready for pair in record.prepared.pairs]

    @property
    def dialect(self) -> Dialect:
        """Whose error shape answers for the call as a whole."""
        return self.records[0].dialect if self.records else DEFAULT

    def reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> HttpReply:
        """A reply that carries the caller's attributes."""
        echoed = {CUSTOM_ATTRIBUTES: self.attributes} if self.attributes else {}
        return HttpReply(status, self.label, {**(headers or {}), **echoed}, body)

    def error_reply(self, error: RerankError) -> HttpReply:
        """`error` in the caller's dialect, with Retry-After where a retry may help."""
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Unavailable) else {}
        return self.reply(error.status, wire.dumps(self.dialect.render_error(error, self.request_id)), headers)


def new_request_id() -> str:
    """32 hexadecimal digits, never the same again."""
    return uuid.uuid4().hex


def said(error: RerankError) -> str:
    """The error's message and its tip in one breath."""
    return f"{error.message} {error.tip}" if error.tip else error.message


def echoable(attributes: str | None) -> str | None:
    """Custom attributes as SageMaker lets them out: visible ASCII, at most 1,024 characters; the rest is left out."""
    if not attributes:
        return None
    return "".join(sign for sign in attributes if " " <= sign <= "~")[:_MOST_ATTRIBUTES] or None


def split_scores(records: Sequence[Record], scores: Sequence[Score]) -> list[Sequence[Score]]:
    """Scores of all pairs as one slice a record."""
    ends = [0]
    for record in records:
        ends.append(ends[-1] + record.pairs)
    return [scores[start:end] for start, end in itertools.pairwise(ends)]
