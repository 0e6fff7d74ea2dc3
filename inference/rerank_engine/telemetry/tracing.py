"""Traces by OpenTelemetry, where it is installed and asked for: a span a request, its three parts within.

Set with OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, …). Spans
are made after the answer was sent, from times that are taken in any case. No text of a request is in them.
"""

import os
import time
from collections.abc import Mapping
from typing import Any

from rerank_engine.errors import SettingsError
from rerank_engine.service.exchange import Exchange, HttpReply

_SERVICE = "rerank"


class Tracer:
    """Makes spans.

    Args:
        provider: OpenTelemetry's; by default one that exports by OTLP over HTTP.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """

    def __init__(self, provider: Any = None) -> None:
        try:
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            self._provider = provider or _exporting()
        except ImportError as error:
            raise SettingsError(
                f"RERANK_OTEL is true, but OpenTelemetry is not installed: {error}.",
                tip="pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http, or leave RERANK_OTEL out.",
            ) from error
        self._tracer = self._provider.get_tracer("rerank_engine")
        self._propagator = TraceContextTextMapPropagator()

    def answered(
        self, path: str, exchange: Exchange, reply: HttpReply, headers: Mapping[str, str], seconds: float
    ) -> None:
        """The spans of one answered request, as a child of its `traceparent`, if it has one."""
        from opentelemetry import trace

        ended = time.time_ns()
        started = ended - _ns(seconds)
        outcome = exchange.outcome
        tokenize_s = sum(record.tokenize_s for record in exchange.records)
        attributes = {
            "http.request.method": "POST",
            "url.path": path,
            "http.response.status_code": reply.status,
            "rerank.request_id": exchange.request_id,
            "rerank.dialect": exchange.dialect.name,
            "rerank.pairs": len(outcome.scores),
            "rerank.tokens": sum(result.usage.total_tokens for result in exchange.results),
        }
        parent = self._propagator.extract(headers)
        span = self._tracer.start_span(
            f"POST {path}", parent, kind=trace.SpanKind.SERVER, attributes=attributes, start_time=started
        )
        if reply.status >= 500:
            span.set_status(trace.Status(trace.StatusCode.ERROR))
        within = trace.set_span_in_context(span)
        for name, part_s in (("tokenize", tokenize_s), ("queue", outcome.queue_s), ("forward", outcome.forward_s)):
            part = self._tracer.start_span(name, within, start_time=started)
            started += _ns(part_s)
            part.end(min(started, ended))
        span.end(ended)

    def close(self) -> None:
        """Send what is not sent."""
        self._provider.shutdown()


def _exporting() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = "OTEL_SERVICE_NAME" in os.environ
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": _SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
