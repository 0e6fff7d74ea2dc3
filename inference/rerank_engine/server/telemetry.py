"""What the server counts and logs: one place, so that /metrics and the log tell the same story."""

import logging
from collections.abc import Callable

from rerank_engine.exchange import Exchange, HttpReply
from rerank_engine.logs import event
from rerank_engine.metrics import SECONDS, SIZES, Counter, Gauge, Histogram, Metric, exposition

_SHOWN_CHARACTERS = 500


class Telemetry:
    """The server's metrics, and its line per request."""

    def __init__(self, *, log_text: bool = False) -> None:
        self._log_text = log_text
        self.requests = Counter("rerank_requests_total", "Requests answered, by path and HTTP status.")
        self.errors = Counter("rerank_errors_total", "Errors answered, by code, those of single records included.")
        self.pairs = Counter("rerank_pairs_total", "Query-document pairs scored.")
        self.tokens = Counter("rerank_tokens_total", "Tokens scored.")
        self.cut = Counter("rerank_truncated_documents_total", "Documents cut to fit the model's window.")
        self.seconds = Histogram("rerank_request_seconds", "From the request's last header to the answer.", SECONDS)
        self.queue = Histogram("rerank_queue_seconds", "Waiting for the first forward pass.", SECONDS)
        self.forward = Histogram("rerank_forward_seconds", "Duration of one forward pass.", SECONDS)
        self.batch = Histogram("rerank_forward_pairs", "Pairs of one forward pass.", SIZES)
        self._metrics: list[Metric] = [
            *(self.requests, self.errors, self.pairs, self.tokens, self.cut),
            *(self.seconds, self.queue, self.forward, self.batch),
        ]

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read at each scrape."""
        self._metrics.append(Gauge(name, help_text, read))

    def page(self) -> bytes:
        """The body of /metrics."""
        return exposition(self._metrics).encode()

    def passed(self, pairs: int, tokens: int, seconds: float) -> None:
        """Count one forward pass."""
        self.pairs.add(pairs)
        self.tokens.add(tokens)
        self.forward.observe(seconds)
        self.batch.observe(pairs)

    def answered(self, path: str, exchange: Exchange, reply: HttpReply, bytes_in: int, seconds: float) -> None:
        """Count and log one answered request that was meant to be scored."""
        results = exchange.results
        codes = [record.error.code for record in exchange.records if record.error is not None]
        codes += [exchange.failure.code] if exchange.failure is not None else []
        self.requests.add(path=path, status=str(reply.status))
        self.seconds.observe(seconds)
        for code in codes:
            self.errors.add(code=code)
        if exchange.outcome.scores:
            self.queue.observe(exchange.outcome.queue_s)
        cut = sum(len(result.truncated_documents) for result in results)
        self.cut.add(cut)
        fields: dict[str, object] = {
            "request_id": exchange.request_id,
            "path": path,
            "status": reply.status,
            "dialect": exchange.dialect.name,
            "records": len(exchange.records),
            "pairs": len(exchange.outcome.scores),
            "tokens": sum(result.usage.total_tokens for result in results),
            "truncated": cut,
            "bytes_in": bytes_in,
            "bytes_out": len(reply.body),
            "queue_ms": _ms(exchange.outcome.queue_s),
            "tokenize_ms": _ms(sum(record.tokenize_s for record in exchange.records)),
            "forward_ms": _ms(exchange.outcome.forward_s),
            "total_ms": _ms(seconds),
        }
        if codes:
            fields["errors"] = sorted(set(codes))
        if self._log_text:
            fields["queries"] = [query[:_SHOWN_CHARACTERS] for record in exchange.records for query in record.queries]
        event("request", fields, level=logging.ERROR if reply.status >= 500 else logging.INFO)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
