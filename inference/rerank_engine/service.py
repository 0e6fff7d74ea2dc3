"""One way in, one way out: bytes of a request to bytes of its answer, the same behind every door.

`handle` does it in one go. A server that must not block takes the three steps apart: `open` (read, recognise,
tokenise), the scorer, `close` (rank, render). None of them raises: whatever happens is an answer.

An error of one record stands in its record's place, with HTTP 200, for JSON Lines, and in a batch transform job even
for a single JSON record: one bad line must not cost the file. An error that a retry may cure (queue full, model not
ready, deadline) is the whole call's in either case, so that the platform does retry.
"""

import time
from collections.abc import Sequence

from rerank_engine import jsonlines, wire
from rerank_engine.dialects import recognise
from rerank_engine.errors import PayloadTooLarge, RequestError, RerankError
from rerank_engine.exchange import Exchange, HttpReply, Record, echoable, new_request_id, split_scores
from rerank_engine.hosting import Hosting
from rerank_engine.media import MediaType, negotiate, parse_content_type
from rerank_engine.scoring import DirectScorer, Engine, Outcome, Score, Scorer, as_rerank_error
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
        self.max_body_bytes = self.hosting.max_body_bytes(settings)
        self.deadline_s = self.hosting.deadline_s(settings)

    def handle(
        self,
        body: bytes | bytearray | str,
        content_type: str | None,
        accept: str | None = None,
        custom_attributes: str | None = None,
    ) -> HttpReply:
        """The answer to one request. Never raises."""
        exchange = self.open(body, content_type, accept, custom_attributes)
        if exchange.failure is None:
            try:
                exchange.outcome = self.scorer.score(exchange.pairs, deadline_s=self.deadline_s)
            except Exception as error:
                exchange.failure = as_rerank_error(error)
        return self.close(exchange)

    def open(
        self,
        body: bytes | bytearray | str,
        content_type: str | None,
        accept: str | None = None,
        custom_attributes: str | None = None,
    ) -> Exchange:
        """Read and tokenise a request: an exchange whose pairs are to be scored, or that failed already."""
        exchange = Exchange(new_request_id(), attributes=echoable(custom_attributes))
        try:
            media = parse_content_type(content_type)
            label = negotiate(accept, media)
            exchange.media, exchange.label = media, label
            if len(body) > self.max_body_bytes:
                raise PayloadTooLarge(f"The body has {len(body)} bytes; at most {self.max_body_bytes} are read.")
            exchange.records = self._records(body, media)
        except Exception as error:
            exchange.failure = as_rerank_error(error)
        return exchange

    def close(self, exchange: Exchange) -> HttpReply:
        """Rank and render what was scored."""
        try:
            if exchange.failure is None:
                return self._answer(exchange)
        except Exception as error:
            exchange.failure = as_rerank_error(error)
        return exchange.error_reply(exchange.failure)

    def _records(self, body: bytes | bytearray | str, media: MediaType) -> list[Record]:
        if not media.is_lines:
            try:
                return [self._record(media.decode(body))]
            except RequestError as error:
                return [Record(error=error)]
        lines = jsonlines.split(body, media)
        return [Record(error=line) if isinstance(line, RerankError) else self._record(line) for line in lines]

    def _record(self, text: str) -> Record:
        record = Record()
        try:
            payload = wire.loads(text)
            record.id = _id_of(payload)
            record.dialect = recognise(payload)
            record.request = record.dialect.parse(payload)
            started = time.perf_counter()
            request = record.request
            record.prepared = self.engine.prepare(request.query, request.documents, request.options)
            record.tokenize_s = time.perf_counter() - started
        except Exception as error:
            record.error = as_rerank_error(error)
        return record

    def _answer(self, exchange: Exchange) -> HttpReply:
        scores = split_scores(exchange.records, exchange.outcome.scores)
        in_place = exchange.media.is_lines or self.hosting.batch
        answers = []
        for record, own in zip(exchange.records, scores, strict=True):
            answer = self._render(record, own, exchange.outcome)
            if record.error is not None and not in_place:
                return exchange.error_reply(record.error)
            answers.append(wire.dumps(record.error_in_place()) if answer is None else answer)
        body = jsonlines.join(answers)
        most = self.settings.max_response_bytes
        if len(body) > most and not self.hosting.batch:
            raise PayloadTooLarge(
                f"The answer would have {len(body)} bytes; SageMaker returns at most {most}.",
                tip='Send "return_documents": false, or a smaller "top_n".',
            )
        return exchange.reply(200, body)

    def _render(self, record: Record, scores: Sequence[Score], outcome: Outcome) -> bytes | None:
        """The record's answer; None after noting why there is none."""
        if record.error is not None or record.request is None:
            return None
        try:
            logits = [_logit(score) for score in scores]
            timings = Timings(outcome.queue_s, record.tokenize_s, outcome.forward_s)
            record.result = self.engine.finish(record.prepared, logits, timings)
            return wire.dumps(record.dialect.render(record.request, record.result, self.engine.model_name))
        except Exception as error:
            record.error = as_rerank_error(error)
            return None


def _logit(score: Score) -> float:
    if isinstance(score, RerankError):
        raise score
    return score


def _id_of(payload: object) -> object:
    mark = payload.get("id") if isinstance(payload, dict) else None
    return mark if isinstance(mark, (str, int, float)) and not isinstance(mark, bool) else None
