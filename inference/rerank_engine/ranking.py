"""From logits to an answer: pure."""

import heapq
from collections.abc import Sequence
from statistics import fmean

from rerank_engine.calibration import Calibration, sigmoid
from rerank_engine.types import Prepared, RankedDocument, RerankOptions, RerankResult, Timings, Usage


def rank(
    prepared: Prepared, logits: Sequence[float], timings: Timings, calibration: Calibration | None = None
) -> RerankResult:
    """Documents best first, equal logits in the caller's order; usage counts all of them.

    Args:
        prepared: the request.
        logits: one per pair of `prepared`.
        timings: passed through.
        calibration: of the bundle; needed for options.score "calibrated".
    """
    options = prepared.options
    chosen = [document.pairs[_best(logits, document.pairs)] for document in prepared.documents]
    merged = [
        logits[best] if len(document.pairs) == 1 else _aggregate([logits[pair] for pair in document.pairs], options)
        for document, best in zip(prepared.documents, chosen, strict=True)
    ]
    order = sorted(range(len(merged)), key=lambda index: -merged[index])  # stable: ties keep their order
    scores = [_score(logit, options, calibration) for logit in merged]
    if options.score_threshold is not None:
        order = [index for index in order if scores[index] >= options.score_threshold]
    order = order[: options.top_n]
    if options.order == "input":
        order.sort()
    documents = prepared.documents
    pairs = [pair for document in documents for pair in document.pairs]
    return RerankResult(
        results=tuple(
            RankedDocument(
                index=index,
                logit=merged[index],
                score=scores[index],
                tokens=documents[index].tokens,
                truncated=documents[index].truncated,
                chunks=len(documents[index].pairs),
                best_chunk=chosen[index] - documents[index].pairs[0],
                span=documents[index].span(chosen[index] - documents[index].pairs[0]),
            )
            for index in order
        ),
        usage=Usage(
            query_tokens=prepared.query_tokens,
            document_tokens=sum(prepared.pairs[pair].document_tokens for pair in pairs),
            total_tokens=sum(len(prepared.pairs[pair].ids) for pair in pairs),
            pairs=len(pairs),
        ),
        query_truncated=prepared.query_truncated,
        truncated_documents=tuple(index for index, document in enumerate(documents) if document.truncated),
        timings=timings,
    )


def _best(logits: Sequence[float], pairs: range) -> int:
    """Which of a document's chunks scored highest; the first of equals."""
    return 0 if len(pairs) == 1 else max(range(len(pairs)), key=lambda number: logits[pairs[number]])


def _aggregate(logits: Sequence[float], options: RerankOptions) -> float:
    if options.aggregate == "mean_top_k":
        return fmean(heapq.nlargest(options.aggregate_top_k, logits))
    return max(logits)


def _score(logit: float, options: RerankOptions, calibration: Calibration | None) -> float:
    if options.score == "raw":
        return logit
    if options.score == "calibrated" and calibration is not None:
        return calibration.apply(logit)
    return sigmoid(logit)
