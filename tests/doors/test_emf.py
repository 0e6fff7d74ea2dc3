"""CloudWatch's Embedded Metric Format, and OpenTelemetry's spans."""

import io
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rerank_engine.errors import SettingsError
from rerank_engine.handler import Handler
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings
from rerank_engine.telemetry import logs
from rerank_engine.telemetry.emf import UNITS, EmbeddedMetrics
from rerank_engine.telemetry.telemetry import Telemetry
from rerank_engine.telemetry.tracing import Tracer

SECRET = "nobody may read this"


class Clock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_line_is_what_cloudwatch_reads() -> None:
    """Namespace, dimensions, units and values, as the specification has them."""
    lines: list[Mapping[str, object]] = []
    metrics = EmbeddedMetrics("Rerank/test", lines.append, clock=Clock())
    metrics.model = "fake/model"
    metrics.count(Requests=1, Pairs=2)
    metrics.count(Requests=1, Pairs=3)
    metrics.sample(QueueTime=1.23456)
    metrics.sample(QueueTime=2)

    metrics.flush()

    declared = [{"Name": name, "Unit": UNITS[name]} for name in ("Requests", "Pairs", "QueueTime")]
    directive = {"Namespace": "Rerank/test", "Dimensions": [["Model"]], "Metrics": declared}
    assert [
        {
            "_aws": {"Timestamp": 1_000_000, "CloudWatchMetrics": [directive]},
            "Model": "fake/model",
            "Requests": 2,
            "Pairs": 5,
            "QueueTime": [1.235, 2],
        }
    ] == lines


def test_errors_have_their_kind_as_a_dimension() -> None:
    """One line a kind, so that an alarm can tell them apart."""
    lines: list[Any] = []
    metrics = EmbeddedMetrics("Rerank", lines.append, clock=Clock())
    for code in ("overloaded", "malformed_body", "overloaded"):
        metrics.error(code)

    metrics.flush()

    assert [("overloaded", 2), ("malformed_body", 1)] == [(line["Code"], line["Errors"]) for line in lines]
    assert ["Model", "Code"] == lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]


def test_lines_are_written_when_due_or_full() -> None:
    """Every ten seconds, or at 100 values of one metric, the most that a line may hold; nothing makes no line."""
    lines: list[Any] = []
    clock = Clock()
    metrics = EmbeddedMetrics("Rerank", lines.append, every_s=10.0, clock=clock)
    metrics.flush()
    metrics.sample(QueueTime=1)
    metrics.flush_if_due()
    before = len(lines)
    clock.now += 10
    metrics.flush_if_due()
    due = len(lines)
    for _ in range(250):
        metrics.sample(QueueTime=1)

    assert [0, 1, 3] == [before, due, len(lines)]
    assert [1, 100, 100] == [len(line["QueueTime"]) for line in lines]


@pytest.fixture
def written() -> Any:
    """What was logged while the test ran: call it to end the logging and to get the lines."""
    stream = io.StringIO()
    loggers = (logs.LOGGER, logs.logging.getLogger("uvicorn"))
    before = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    listener = logs.configure("error", stream)
    stopped: list[bool] = []

    def stop() -> list[dict[str, Any]]:
        if not stopped:
            listener.stop()
            stopped.append(True)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield stop
    stop()
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.level, logger.propagate = handlers, level, propagate


def test_metrics_are_written_whatever_the_log_level(make_service: Callable[..., Service], written: Any) -> None:
    """At log level error, too, behind AWS's toolkit as behind our own server; and no text of a request is in them."""
    telemetry = Telemetry(Settings(emf_namespace="Rerank"), emf_every_s=0.0)
    handler = Handler(make_service(cache_entries=5), telemetry=telemetry)
    for body in (json.dumps({"query": SECRET, "documents": [SECRET]}), "{"):
        handler.answer(body, "application/json", None)

    lines = [line for line in written() if line["event"] == "metrics"]

    assert [(1, 1, 0, 1), (1, 0, 0, 0)] == [
        (line["Requests"], line["Pairs"], line["CacheHits"], line["CacheMisses"])
        for line in lines
        if "Requests" in line and "CacheHits" in line
    ] + [(line["Requests"], line["Pairs"], 0, 0) for line in lines if "Requests" in line and "CacheHits" not in line]
    assert ["malformed_body"] == [line["Code"] for line in lines if "Code" in line]
    assert SECRET not in json.dumps(lines)


def test_every_metric_that_is_written_has_a_unit(make_service: Callable[..., Service], written: Any) -> None:
    """What a line declares is in it, and is a number or numbers."""
    telemetry = Telemetry(Settings(emf_namespace="Rerank"), emf_every_s=0.0)
    telemetry.passed(4, 100, 0.5)
    Handler(make_service(), telemetry=telemetry).answer('{"query": "q", "documents": ["a"]}', "application/json", None)
    telemetry.close()

    for line in written():
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            values = line[metric["Name"]]
            assert UNITS[metric["Name"]] == metric["Unit"]
            assert all(isinstance(value, int | float) for value in (values if isinstance(values, list) else [values]))


def test_spans(make_service: Callable[..., Service]) -> None:
    """A request is a span with three parts, a child of the caller's trace, and holds no text."""
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    exchange, reply = make_service().run(json.dumps({"query": SECRET, "documents": ["a"]}), "application/json")
    caller = {"traceparent": f"00-{'7' * 32}-{'5' * 16}-01"}

    Tracer(provider).answered("/invocations", exchange, reply, caller, 0.25)

    spans = {span.name: span for span in exporter.get_finished_spans()}
    whole = spans["POST /invocations"]
    assert {"POST /invocations", "tokenize", "queue", "forward"} == set(spans)
    assert int("7" * 32, 16) == whole.context.trace_id
    assert int("5" * 16, 16) == whole.parent.span_id
    assert {whole.context.span_id} == {spans[name].parent.span_id for name in ("tokenize", "queue", "forward")}
    assert (200, 1, "jina") == tuple(
        whole.attributes[name] for name in ("http.response.status_code", "rerank.pairs", "rerank.dialect")
    )
    assert SECRET not in str([span.to_json() for span in spans.values()])


def test_traces_without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for where it is not installed, it is named at start, not at the first request."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace.propagation.tracecontext", None)

    with pytest.raises(SettingsError, match="RERANK_OTEL is true, but OpenTelemetry is not installed") as caught:
        Telemetry(Settings(otel=True))

    assert "pip install opentelemetry-sdk " in (caught.value.tip or "")
