"""Results to render, and a way to ask a service over the fake engine."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rerank_engine.dialects import Answer
from rerank_engine.service import Service
from rerank_engine.types import RankedDocument, RerankResult, Usage

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def answer() -> Answer:
    """What answers are told beside scores."""
    return Answer("fake/model", "7" * 32, 1_700_000_000)


@pytest.fixture
def ranked() -> Callable[..., RerankResult]:
    """Two documents, the second one better; of `order="input"` in the caller's order."""

    def make(*, cut: tuple[int, ...] = (), query_cut: bool = False, order: str = "score") -> RerankResult:
        best = RankedDocument(1, 2.0, 0.8807970779778823, 3, 1 in cut)
        other = RankedDocument(0, -1.2, 0.23147521650098238, 4, 0 in cut)
        both = (best, other) if order == "score" else (other, best)
        return RerankResult(both, Usage(4, 7, 29, 2), query_cut, cut)

    return make


@pytest.fixture
def ask(make_service: Callable[..., Service]) -> Ask:
    """Status and JSON of an answer; the fake engine's logit is a tenth of the characters of query and document."""

    def send(payload: object, *, path: str | None = None, **settings: object) -> tuple[int, Any]:
        body = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        reply = make_service(**settings).handle(body, "application/json", path=path)
        return reply.status, json.loads(reply.body)

    return send
