"""What the doors count and log: one place, so that /metrics, CloudWatch and the log tell the same story."""

import logging
from collections.abc import Callable, Mapping

from rerank_engine.service.exchange import Exchange, HttpReply
from rerank_engine.settings import Settings
from rerank_engine.telemetry import logs
from rerank_engine.telemetry.emf import EmbeddedMetrics
from rerank_engine.telemetry.logs import event
from rerank_engine.telemetry.metrics import RATIOS, SECONDS, SIZES, Counter, Gauge, Histogram, Metric, exposition
from rerank_engine.telemetry.tracing import Tracer

_SHOWN_CHARACTERS = 500


class Telemetry:
    """The metrics, and the line per request.

    Args:
        settings: what is written where.
        emf_every_s: see EmbeddedMetrics.

    Raises:
        SettingsError: traces are asked for and OpenTelemetry is not installed.
    """

    def __init__(self, settings: Settings | None = None, *, emf_every_s: float = 10.0) -> None:
        settings = settings or Settings()
        self._log_text = settings.log_text
        self._token_budget = settings.token_budget
        namespace = settings.emf_namespace
        self.emf = EmbeddedMetrics(namespace, logs.metrics, every_s=emf_every_s) if namespace else None
        self.tracer = Tracer() if settings.otel else None
        self.requests = Counter("rerank_requests_total", "Requests answered, by path and HTTP status.")
        self.errors = Counter("rerank_errors_total", "Errors answered, by code, those of single records included.")
        self.pairs = Counter("rerank_pairs_total", "Query-document pairs scored.")
        self.tokens = Counter("rerank_tokens_total", "Tokens scored.")
        self.cut = Counter("rerank_truncated_documents_total", "Documents cut to fit the model's window.")
        self.hits = Counter("rerank_cache_hits_total", "Pairs whose score was remembered.")
        self.misses = Counter("rerank_cache_misses_total", "Pairs whose score was not remembered.")
        self.seconds = Histogram("rerank_request_seconds", "From the request's last header to the answer.", SECONDS)
        self.tokenize = Histogram("rerank_tokenize_seconds", "Tokenising one request.", SECONDS)
        self.queue = Histogram("rerank_queue_seconds", "Waiting for the first forward pass.", SECONDS)
        self.forward = Histogram("rerank_forward_seconds", "Duration of one forward pass.", SECONDS)
        self.batch = Histogram("rerank_forward_pairs", "Pairs of one forward pass.", SIZES)
        self.fill = Histogram("rerank_batch_fill_ratio", "Tokens of one forward pass, of its token budget.", RATIOS)
        self._metrics: list[Metric] = [
            *(self.requests, self.errors, self.pairs, self.tokens, self.cut, self.hits, self.misses),
            *(self.seconds, self.tokenize, self.queue, self.forward, self.batch, self.fill),
        ]

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read at each scrape."""
        self._metrics.append(Gauge(name, help_text, read))

    def page(self) -> bytes:
        """The body of /metrics."""
        return exposition(self._metrics).encode()

    def loaded(self, model: str) -> None:
        """Name the model in what is written from now on."""
        if self.emf is not None:
            self.emf.model = model

    def passed(self, pairs: int, tokens: int, seconds: float) -> None:
        """Count one forward pass."""
        self.pairs.add(pairs)
        self.tokens.add(tokens)
        self.forward.observe(seconds)
        self.batch.observe(pairs)
        self.fill.observe(tokens / self._token_budget)
        if self.emf is not None:
            self.emf.sample(BatchPairs=pairs, BatchFill=100 * tokens / self._token_budget)

    def answered(
        self,
        path: str,
        exchange: Exchange,
        reply: HttpReply,
        bytes_in: int,
        seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Count and log one answered request that was meant to be scored."""
        codes = [record.error.code for record in exchange.records if record.error is not None]
        codes += [exchange.failure.code] if exchange.failure is not None else []
        self._count(path, exchange, reply, codes, seconds)
        if self.tracer is not None:
            self.tracer.answered(path, exchange, reply, headers or {}, seconds)
        results, outcome = exchange.results, exchange.outcome
        fields: dict[str, object] = {
            "request_id": exchange.request_id,
            "path": path,
            "status": reply.status,
            "dialect": exchange.dialect.name,
            "records": len(exchange.records),
            "pairs": len(outcome.scores),
            "tokens": sum(result.usage.total_tokens for result in results),
            "truncated": sum(len(result.truncated_documents) for result in results),
            "bytes_in": bytes_in,
            "bytes_out": len(reply.body),
            "queue_ms": _ms(outcome.queue_s),
            "tokenize_ms": _ms(sum(record.tokenize_s for record in exchange.records)),
            "forward_ms": _ms(outcome.forward_s),
            "total_ms": _ms(seconds),
        }
        if exchange.recall is not None:
            fields["cache_hits"] = exchange.recall.hits
        if codes:
            fields["errors"] = sorted(set(codes))
        if self._log_text:
            fields["queries"] = [query[:_SHOWN_CHARACTERS] for record in exchange.records for query in record.queries]
        event("request", fields, level=logging.ERROR if reply.status >= 500 else logging.INFO)
        self.due()

    def due(self) -> None:
        """Write what was gathered long enough."""
        if self.emf is not None:
            self.emf.flush_if_due()

    def close(self) -> None:
        """Write and send what was gathered."""
        if self.emf is not None:
            self.emf.flush()
        if self.tracer is not None:
            self.tracer.close()

    def _count(self, path: str, exchange: Exchange, reply: HttpReply, codes: list[str], seconds: float) -> None:
        outcome, recall = exchange.outcome, exchange.recall
        cut = sum(len(result.truncated_documents) for result in exchange.results)
        tokenize_s = sum(record.tokenize_s for record in exchange.records)
        hits, misses = (0, 0) if recall is None else (recall.hits, len(recall.missing))
        self.requests.add(path=path, status=str(reply.status))
        self.seconds.observe(seconds)
        self.cut.add(cut)
        self.hits.add(hits)
        self.misses.add(misses)
        for code in codes:
            self.errors.add(code=code)
        if outcome.scores:
            self.queue.observe(outcome.queue_s)
            self.tokenize.observe(tokenize_s)
        if self.emf is None:
            return
        tokens = sum(result.usage.total_tokens for result in exchange.results)
        self.emf.count(Requests=1, Pairs=len(outcome.scores), Tokens=tokens, TruncatedDocuments=cut)
        if recall is not None:
            self.emf.count(CacheHits=hits, CacheMisses=misses)
        for code in codes:
            self.emf.error(code)
        times = {"QueueTime": outcome.queue_s, "TokenizeTime": tokenize_s, "ForwardTime": outcome.forward_s}
        self.emf.sample(TotalTime=_ms(seconds), **{name: _ms(took) for name, took in times.items() if outcome.scores})


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
