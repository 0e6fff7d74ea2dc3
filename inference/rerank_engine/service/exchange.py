"""One call on its way through the doors: the records of its body, what became of each, and the reply."""

import hashlib
import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from rerank_engine import wire
from rerank_engine.dialects import Dialect, RerankRequest, expected_at, said, shorter
from rerank_engine.errors import InvalidRequest, RerankError
from rerank_engine.service.attributes import CUSTOM_ATTRIBUTES, with_usage
from rerank_engine.service.media import JSON, MediaType
from rerank_engine.service.score_cache import Recall
from rerank_engine.service.scoring import Outcome, Score, TokenIds
from rerank_engine.types import RerankResult

MOST_ERROR_BYTES = 2048  # InvokeEndpoint cuts OriginalMessage there, and half a JSON object cannot be read


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
    """One request of a body: the whole of a JSON body, one line of JSON Lines, one row of CSV.

    Attributes:
        dialect: whose shape answers and errors take.
        id: the caller's own mark, echoed even in errors.
        digest: 32 hexadecimal digits of the record's text, an id that is the same when it is asked again.
        request: None when it could not be read.
        prepared: the engine's tokenised pairs, for each of the request's rankings.
        results: of its rankings; empty until scored, and after an error.
        error: what went wrong with this record alone.
    """

    dialect: Dialect
    id: object = None
    digest: str = ""
    request: RerankRequest | None = None
    prepared: Sequence[Any] = ()
    tokenize_s: float = 0.0
    results: Sequence[RerankResult] = ()
    error: RerankError | None = None

    @property
    def pairs(self) -> int:
        """Pairs this record adds to the forward pass."""
        return sum(len(prepared.pairs) for prepared in self.prepared)

    @property
    def queries(self) -> list[str]:
        """The queries' texts; none when the request could not be read."""
        return [] if self.request is None else [ranking.query for ranking in self.request.rankings]

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
        fallback: whose error shape answers while no record is read.
        records: one for JSON, one a line for JSON Lines and CSV.
        failure: an error of the call as a whole; records do not matter then.
        different: the pairs of all records of which the token ids differ.
        places: for each pair of all records, in order, its place among them.
        recall: what the cache knows of these; None without a cache.
        outcome: scores of all pairs of all records, in order; before `Service.close`, of those in `pairs`.
    """

    request_id: str
    media: MediaType = field(default_factory=MediaType)
    label: str = JSON
    attributes: str | None = None
    fallback: Dialect = field(default_factory=lambda: expected_at(None))
    records: list[Record] = field(default_factory=list)
    failure: RerankError | None = None
    different: Sequence[TokenIds] = ()
    places: Sequence[int] = ()
    recall: Recall | None = None
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def pairs(self) -> Sequence[TokenIds]:
        """Token ids of every pair to score, each once: those of all records that no cache knows, packed together."""
        return self.different if self.recall is None else self.recall.missing

    @property
    def all_pairs(self) -> list[TokenIds]:
        """Token ids of every pair, known or not."""
        return [pair.ids for record in self.records for prepared in record.prepared for pair in prepared.pairs]

    @property
    def results(self) -> list[RerankResult]:
        """The results of all records."""
        return [result for record in self.records for result in record.results]

    @property
    def dialect(self) -> Dialect:
        """Whose error shape answers for the call as a whole."""
        return self.records[0].dialect if self.records else self.fallback

    def reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> HttpReply:
        """A reply that carries the caller's attributes and, where something was scored, what it took."""
        attributes = self.attributes
        if status == 200:
            attributes = with_usage(
                attributes,
                self.results,
                queue_s=self.outcome.queue_s,
                tokenize_s=sum(record.tokenize_s for record in self.records),
                forward_s=self.outcome.forward_s,
            )
        told = {CUSTOM_ATTRIBUTES: attributes} if attributes else {}
        return HttpReply(status, self.label, {**(headers or {}), **told}, body)

    def error_reply(self, error: RerankError) -> HttpReply:
        """`error` in the caller's dialect, with Retry-After where a retry may help."""
        headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
        body = wire.dumps(self.dialect.render_error(error, self.request_id))
        kept = len(error.fields) if isinstance(error, InvalidRequest) else 0
        while len(body) > MOST_ERROR_BYTES and isinstance(error, InvalidRequest) and kept > 1:
            kept //= 2
            body = wire.dumps(self.dialect.render_error(shorter(error, kept), self.request_id))
        return self.reply(error.status, body, headers)


def new_request_id() -> str:
    """32 hexadecimal digits, never the same again."""
    return uuid.uuid4().hex


def digest_of(text: str) -> str:
    """32 hexadecimal digits that equal texts share."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def split_scores(records: Sequence[Record], scores: Sequence[Score]) -> list[Sequence[Score]]:
    """Scores of all pairs as one slice a record."""
    return slices(scores, [record.pairs for record in records])


def slices(scores: Sequence[Score], counts: Sequence[int]) -> list[Sequence[Score]]:
    """Consecutive parts of `scores`, of these lengths."""
    ends = [0, *itertools.accumulate(counts)]
    return [scores[start:end] for start, end in itertools.pairwise(ends)]
