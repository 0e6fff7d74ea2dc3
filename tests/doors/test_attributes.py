"""Tokens and times in X-Amzn-SageMaker-Custom-Attributes, behind what the caller sent."""

import pytest

from rerank_engine.service.attributes import with_usage
from rerank_engine.types import RerankResult, Usage

WHOLE = RerankResult((), Usage(4, 10, 20, 3))
CUT = RerankResult((), Usage(1, 5, 8, 2), False, (0, 1))
STRANGE = RerankResult((), Usage(4, 10, 20, 3), empty_documents=(2,), unknown_documents=(0, 1), query_unknown=True)
TIMES = "queue_ms=0.5;tokenize_ms=1.0;forward_ms=2.2"


def told(attributes: str | None, *results: RerankResult) -> str | None:
    return with_usage(attributes, results, queue_s=0.0005, tokenize_s=0.001, forward_s=0.00224)


@pytest.mark.parametrize(
    ("attributes", "results", "expected"),
    [
        (None, (WHOLE,), f"query_tokens=4;document_tokens=10;total_tokens=20;pairs=3;{TIMES}"),
        ("trace=7;", (WHOLE,), f"trace=7;query_tokens=4;document_tokens=10;total_tokens=20;pairs=3;{TIMES}"),
        (None, (WHOLE, CUT), f"query_tokens=5;document_tokens=15;total_tokens=28;pairs=5;truncated=2;{TIMES}"),
        (None, (STRANGE,), f"query_tokens=4;document_tokens=10;total_tokens=20;pairs=3;empty=1;unknown=3;{TIMES}"),
        ("x" * 1000, (WHOLE,), "x" * 1000),
        ("trace=7", (), "trace=7"),
        (None, (), None),
    ],
)
def test_usage(attributes: str | None, results: tuple[RerankResult, ...], expected: str | None) -> None:
    """Summed over all results, cut documents counted where there are any; left out where it would not fit."""
    assert expected == told(attributes, *results)
