"""One way in, one way out: bytes of a request to bytes of its answer, the same behind every door.

`handle` does it in one go. A server that must not block takes the three steps apart: `open` (read, recognise,
tokenise), the scorer, `close` (rank, render). None of them raises: whatever happens is an answer.

An error of one record stands in its record's place, with HTTP 200, for JSON Lines, and in a batch transform job even
for a single JSON record: one bad line must not cost the file. An error that a retry may cure (queue full, model not
ready, deadline) is the whole call's in either case, so that the platform does retry. So is a body of which the records
cannot be told apart. In a batch transform job a body is lines whatever it is called, since SageMaker puts as many lines
of a file into one as fit.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from rerank_engine import wire
from rerank_engine.batching import distinct
from rerank_engine.dialects import JINA_SAGEMAKER, Answer, RerankRequest, guess, recognise
from rerank_engine.dialects.csv_rows import payload_of
from rerank_engine.errors import (
    FieldError,
    InvalidRequest,
    MalformedBody,
    PayloadTooLarge,
    RequestError,
    RerankError,
)
from rerank_engine.hosting import Hosting
from rerank_engine.service import jsonlines
from rerank_engine.service.attributes import echoable
from rerank_engine.service.exchange import Exchange, HttpReply, Record, digest_of, new_request_id, slices, split_scores
from rerank_engine.service.media import MediaType, negotiate, parse_content_type
from rerank_engine.service.score_cache import ScoreCache
from rerank_engine.service.scoring import DirectScorer, Engine, Score, Scorer, as_rerank_error
from rerank_engine.settings import Settings
from rerank_engine.types import Timings


class Service:
    """Answers requests with an engine; `scorer` is the engine itself unless a scheduler stands before it."""

    def __init__(
        self, engine: Engine, settings: Settings, *, hosting: Hosting | None = None, scorer: Scorer | None = None
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.hosting = hosting or Hosting()
        self.scorer = scorer or DirectScorer(engine, settings)
        self.cache = ScoreCache(settings.cache_entries) if settings.cache_entries else None
        self.max_body_bytes = self.hosting.max_body_bytes(settings)
        self.deadline_s = self.hosting.deadline_s(settings)

    def handle(
        self,
        body: bytes | bytearray | str,
        content_type: str | None,
        accept: str | None = None,
        custom_attributes: str | None = None,
        path: str | None = None,
    ) -> HttpReply:
        """The answer to one request. Never raises. Where a server has several paths, `path` tells look-alikes apart."""
        return self.run(body, content_type, accept, custom_attributes, path)[1]

    def run(
        self,
        body: bytes | bytearray | str,
        content_type: str | None,
        accept: str | None = None,
        custom_attributes: str | None = None,
        path: str | None = None,
    ) -> tuple[Exchange, HttpReply]:
        """As `handle`; beside the answer, what there is to count and to log about it."""
        exchange = self.open(body, content_type, accept, custom_attributes, path)
        if exchange.failure is None:
            try:
                exchange.outcome = self.scorer.score(exchange.pairs, deadline_s=self.deadline_s)
            except Exception as error:
                exchange.failure = as_rerank_error(error)
        return exchange, self.close(exchange)

    def open(
        self,
        body: bytes | bytearray | str,
        content_type: str | None,
        accept: str | None = None,
        custom_attributes: str | None = None,
        path: str | None = None,
    ) -> Exchange:
        """Read and tokenise a request: an exchange whose pairs are to be scored, or that failed already."""
        exchange = Exchange(new_request_id(), attributes=echoable(custom_attributes))
        try:
            media = parse_content_type(content_type)
            label = negotiate(accept, media)
            exchange.media, exchange.label = media, label
            if len(body) > self.max_body_bytes:
                raise PayloadTooLarge(f"The body has {len(body)} bytes; at most {self.max_body_bytes} are read.")
            exchange.records = self._records(body, media, path)
            exchange.different, exchange.places = distinct(exchange.all_pairs)
            exchange.recall = None if self.cache is None else self.cache.recall(exchange.different)
        except Exception as error:
            exchange.failure = as_rerank_error(error)
            exchange.fallback = guess(body, path)
        return exchange

    def close(self, exchange: Exchange) -> HttpReply:
        """Rank and render what was scored."""
        try:
            if exchange.failure is None:
                if self.cache is not None and exchange.recall is not None:
                    exchange.outcome = self.cache.complete(exchange.recall, exchange.outcome)
                scores = exchange.outcome.scores
                exchange.outcome = replace(exchange.outcome, scores=[scores[place] for place in exchange.places])
                return self._answer(exchange)
        except Exception as error:
            exchange.failure = as_rerank_error(error)
        return exchange.error_reply(exchange.failure)

    def _records(self, body: bytes | bytearray | str, media: MediaType, path: str | None) -> list[Record]:
        if not self._in_place(media):
            try:
                return [self._record(media.decode(body), media, path)]
            except RequestError as error:
                return [Record(guess(body, path), error=error)]
        lines = jsonlines.split(body, media)
        records = []
        for line in lines:
            if isinstance(line, RerankError):
                records.append(Record(guess("", path), error=line))
            else:
                records.append(self._record(line, media, path))
                if records[-1].error is not None and "\r" in line:
                    jsonlines.check_line_ends(line, payload_of if media.is_csv else wire.loads)
        if self.hosting.batch and not media.is_csv:
            written = [line if isinstance(line, str) else "\ufffd" for line in lines]
            written = [line for line in written if line.strip()]
            malformed = sum(isinstance(record.error, MalformedBody) for record in records) - len(lines) + len(written)
            if malformed and len(written) > 1:
                jsonlines.check_records(written, malformed, media)
        return records

    def _in_place(self, media: MediaType) -> bool:
        """Whether each line of a body is a record, whose error stands in its place."""
        return media.is_lines or self.hosting.batch

    def _record(self, text: str, media: MediaType, path: str | None) -> Record:
        record = Record(JINA_SAGEMAKER if media.is_csv else guess("", path))
        record.digest = digest_of(text) if self._in_place(media) else ""
        try:
            payload = _payload(record, text, media, path)
            record.id = _id_of(payload)
            record.dialect = recognise(payload, path)
            record.request = record.dialect.parse(cast(Mapping[str, object], payload))
            started = time.perf_counter()
            record.prepared = self._prepared(record.request)
            record.tokenize_s = time.perf_counter() - started
        except Exception as error:
            record.error = as_rerank_error(error)
        return record

    def _prepared(self, request: RerankRequest) -> list[Any]:
        documents = sum(len(ranking.documents) for ranking in request.rankings)
        if len(request.rankings) > 1 and documents > self.settings.max_documents:
            message = f"has {documents} documents for its queries; at most {self.settings.max_documents} are taken"
            raise InvalidRequest(f"The body {message}.", fields=(FieldError((), message, "value", documents),))
        prepared = []
        for ranking in request.rankings:
            try:
                prepared.append(self.engine.prepare(ranking.query, ranking.documents, ranking.options))
            except InvalidRequest as error:
                raise ranking.located(error) from None
        return prepared

    def _answer(self, exchange: Exchange) -> HttpReply:
        scores = split_scores(exchange.records, exchange.outcome.scores)
        in_place = self._in_place(exchange.media)
        answers = []
        for record, own in zip(exchange.records, scores, strict=True):
            answer = self._render(record, own, exchange)
            if record.error is not None and not in_place:
                return exchange.error_reply(record.error)
            answers.append(wire.dumps(record.error_in_place()) if answer is None else answer)
        body = jsonlines.join(answers)
        most = self.settings.max_response_bytes
        if len(body) > most and not self.hosting.batch:
            several = " Or send fewer lines." if len(exchange.records) > 1 else ""
            raise PayloadTooLarge(
                f"The answer would have {len(body)} bytes; SageMaker returns at most {most}.",
                tip=exchange.dialect.smaller + several,
            )
        return exchange.reply(200, body)

    def _render(self, record: Record, scores: Sequence[Score], exchange: Exchange) -> bytes | None:
        """The record's answer; None after noting why there is none."""
        if record.error is not None or record.request is None:
            return None
        try:
            outcome = exchange.outcome
            timings = Timings(outcome.queue_s, record.tokenize_s, outcome.forward_s)
            parts = slices(scores, [len(prepared.pairs) for prepared in record.prepared])
            record.results = [
                self.engine.finish(prepared, [_logit(score) for score in part], timings)
                for prepared, part in zip(record.prepared, parts, strict=True)
            ]
            identity = str(record.id) if record.id is not None else record.digest or exchange.request_id
            told = Answer(self.engine.model_name, identity, _created(record))
            return wire.dumps(record.dialect.render(record.request, record.results, told))
        except Exception as error:
            record.error, record.results = as_rerank_error(error), ()
            return None


def _payload(record: Record, text: str, media: MediaType, path: str | None) -> object:
    if media.is_csv:
        return payload_of(text)
    try:
        return wire.loads(text)
    except RerankError:
        record.dialect = guess(text, path)
        raise


def _created(record: Record) -> int:
    return 0 if record.digest else int(time.time())


def _logit(score: Score) -> float:
    if isinstance(score, RerankError):
        raise score
    return score


def _id_of(payload: object) -> object:
    mark = payload.get("id") if isinstance(payload, dict) else None
    for inner in ("rerank", "data"):  # where these dialects have it
        if mark is None and isinstance(payload, dict) and isinstance(payload.get(inner), dict):
            mark = payload[inner].get("id")
    return mark if isinstance(mark, (str, int, float)) and not isinstance(mark, bool) else None
