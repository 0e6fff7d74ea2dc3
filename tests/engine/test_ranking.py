"""From logits to results: thresholds, orders, and what a score is."""

from collections.abc import Sequence
from typing import Any

import pytest

from rerank_engine.calibration import Calibration
from rerank_engine.reranker.ranking import rank
from rerank_engine.types import Prepared, PreparedDocument, RerankOptions, Timings, TokenPair

LOGITS = [0.0, 2.0, -2.0, 2.0]


def ranked(
    calibration: Calibration | None = None,
    *,
    tokens: Sequence[int] = (1, 1, 1, 1),
    logits: Sequence[float] = LOGITS,
    **options: Any,
) -> list[tuple[int, float]]:
    """Index and score of four documents with LOGITS and so many tokens, as the options want them."""
    pairs = [TokenPair([1, 2], 1, False) for _ in LOGITS]
    documents = [PreparedDocument(range(at, at + 1), tokens[at], False) for at in range(len(LOGITS))]
    prepared = Prepared(pairs, documents, RerankOptions(**options), 1, False, 0.0)
    result = rank(prepared, logits, Timings(), calibration)
    return [(document.index, round(document.score, 4)) for document in result.results]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(1, 0.8808), (3, 0.8808), (0, 0.5), (2, 0.1192)]),
        ({"score": "raw"}, [(1, 2.0), (3, 2.0), (0, 0.0), (2, -2.0)]),
        ({"score": "calibrated"}, [(1, 0.7311), (3, 0.7311), (0, 0.2689), (2, 0.0474)]),
        ({"order": "input"}, [(0, 0.5), (1, 0.8808), (2, 0.1192), (3, 0.8808)]),
        ({"order": "input", "top_n": 2}, [(1, 0.8808), (3, 0.8808)]),
        ({"score_threshold": 0.5}, [(1, 0.8808), (3, 0.8808), (0, 0.5)]),
        ({"score_threshold": 0.0, "score": "raw", "top_n": 1}, [(1, 2.0)]),
        ({"score_threshold": 0.9}, []),
    ],
)
def test_ranks(options: dict[str, Any], expected: list[tuple[int, float]]) -> None:
    """Thresholds are in the unit of the score; `top_n` keeps the best, whatever the order they are told in."""
    assert expected == ranked(Calibration("platt", 1.0, -1.0), **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(2, 0.1192), (0, 0.0), (1, 0.0), (3, 0.0)]),
        ({"score": "raw"}, [(2, -2.0), (0, -10_000.0), (1, -10_000.0), (3, -10_000.0)]),
        ({"score": "calibrated"}, [(2, 0.49), (0, 0.0), (1, 0.0), (3, 0.0)]),
        ({"order": "input"}, [(0, 0.0), (1, 0.0), (2, 0.1192), (3, 0.0)]),
        ({"top_n": 1}, [(2, 0.1192)]),
        ({"top_n": 2, "order": "input"}, [(0, 0.0), (2, 0.1192)]),
        ({"score_threshold": 0.01}, [(2, 0.1192)]),
        ({"score_threshold": -50.0, "score": "raw"}, [(2, -2.0)]),
        ({"aggregate": "mean_top_k"}, [(2, 0.1192), (0, 0.0), (1, 0.0), (3, 0.0)]),
    ],
)
def test_documents_without_tokens_come_last(options: dict[str, Any], expected: list[tuple[int, float]]) -> None:
    """Whatever the model makes of them, in the caller's order, with the lowest score in every unit."""
    assert expected == ranked(Calibration("platt", 0.00001, -0.04), tokens=(0, 0, 1, 0), **options)


def test_not_even_an_absurd_logit_is_lower_than_nothing() -> None:
    """The order does not rest on the number that stands for nothing."""
    assert [2, 0, 1, 3] == [index for index, _ in ranked(tokens=(0, 0, 1, 0), logits=(0.0, 2.0, -1e6, 2.0))]


@pytest.mark.parametrize("logit", [-1e6, -40.0, 0.0, 40.0, 1e6])
def test_calibrated_scores_are_probabilities(logit: float) -> None:
    """Within [0, 1], however extreme the logit."""
    assert 0 <= Calibration("temperature", 0.5).apply(logit) <= 1


@pytest.mark.parametrize(
    "declared",
    [{"method": "magic", "a": 1}, {"method": "platt", "a": 0}, {"method": "platt", "a": 1e999}, {"a": 1}],
)
def test_wrong_calibrations_are_refused(declared: dict[str, Any]) -> None:
    """An unknown method or a factor that would turn the order round is not taken."""
    with pytest.raises((ValueError, KeyError)):
        Calibration.of(declared)
