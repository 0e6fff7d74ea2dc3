"""Results to render, and a way to ask a service over the fake engine."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rerank_engine.dialects import Answer
from rerank_engine.service.service import Service
from rerank_engine.types import RankedDocument, RerankResult, Usage

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def answer() -> Answer:
    """What answers are told beside scores."""
    return Answer("fake/model", "7" * 32, 1_700_000_000)


@pytest.fixture
def ranked() -> Callable[..., RerankResult]:
    """Two documents, the second one better."""

    def make(*, cut: tuple[int, ...] = (), query_cut: bool = False) -> RerankResult:
        best = RankedDocument(1, 2.0, 0.8807970779778823, 3, 1 in cut)
        other = RankedDocument(0, -1.2, 0.23147521650098238, 4, 0 in cut)
        return RerankResult((best, other), Usage(4, 7, 29, 2), query_cut, cut)

    return make


@pytest.fixture
def ask(make_service: Callable[..., Service]) -> Ask:
    """Status and JSON of an answer, with ids and times of day replaced; keywords are settings.

    The fake engine's logit is a tenth of the characters of query and document: 0.2 for "q" and "a" (sigmoid
    0.549833997312478), 0.4 for "q" and "bbb" (0.598687660112452).
    """

    def send(payload: object, *, path: str | None = None, **settings: object) -> tuple[int, Any]:
        body = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        reply = make_service(**settings).handle(body, "application/json", path=path)
        assert "application/json" == reply.content_type
        return reply.status, _still(json.loads(reply.body))

    return send


def _still(value: Any, key: str = "") -> Any:
    """`value` without what is new in every answer: ids of 32 digits become "…", times 0."""
    if isinstance(value, dict):
        return {name: _still(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_still(inner) for inner in value]
    if key in ("id", "request_id") and isinstance(value, str):
        head, *rest = value.split("-")
        parts = ["…" if len(part) == 32 else part for part in (head, *rest)]
        return "-".join(parts)
    return 0 if key == "created" else value
