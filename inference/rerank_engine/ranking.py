"""From logits to an answer: pure."""

import math
from collections.abc import Sequence

from rerank_engine.types import Prepared, RankedDocument, RerankResult, Timings, Usage


def rank(prepared: Prepared, logits: Sequence[float], timings: Timings) -> RerankResult:
    """Documents best first, equal logits in the caller's order, cut to `top_n`; usage counts all of them."""
    pairs = prepared.pairs
    order = sorted(range(len(pairs)), key=lambda index: -logits[index])  # stable: ties keep their order
    return RerankResult(
        results=tuple(
            RankedDocument(
                index=index,
                logit=logits[index],
                score=sigmoid(logits[index]),
                tokens=pairs[index].document_tokens,
                truncated=pairs[index].truncated,
            )
            for index in order[: prepared.options.top_n]
        ),
        usage=Usage(
            query_tokens=prepared.query_tokens,
            document_tokens=sum(pair.document_tokens for pair in pairs),
            total_tokens=sum(len(pair.ids) for pair in pairs),
        ),
        query_truncated=prepared.query_truncated,
        truncated_documents=tuple(index for index, pair in enumerate(pairs) if pair.truncated),
        timings=timings,
    )


def sigmoid(logit: float) -> float:
    """1 / (1 + e^-logit) without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    power = math.exp(logit)
    return power / (1 + power)
