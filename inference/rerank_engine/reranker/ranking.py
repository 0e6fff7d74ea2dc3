"""From logits to an answer: pure.

A document without tokens (empty, blank, or nothing that the tokenizer keeps) has no relevance, whatever the model makes
of it: often more than of real documents. It stands behind all others, with the lowest score that there is: 0 as a
sigmoid or a probability, EMPTY_LOGIT raw.
"""

import heapq
from collections.abc import Sequence
from statistics import fmean

from rerank_engine.calibration import Calibration, sigmoid
from rerank_engine.types import (
    EMPTY_LOGIT,
    Prepared,
    PreparedDocument,
    RankedDocument,
    RerankOptions,
    RerankResult,
    Timings,
    Usage,
)


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
    documents = prepared.documents
    chosen = [_best(logits, document) for document in documents]
    merged = [_merged(logits, document, options) for document in documents]
    # stable: ties keep their order
    order = sorted(range(len(merged)), key=lambda index: (documents[index].tokens == 0, -merged[index]))
    scores = [
        _score(logit, options, calibration) if document.tokens or options.score == "raw" else 0.0
        for document, logit in zip(documents, merged, strict=True)
    ]
    if options.score_threshold is not None:
        order = [index for index in order if scores[index] >= options.score_threshold]
    order = order[: options.top_n]
    if options.order == "input":
        order.sort()
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
                best_chunk=chosen[index],
                span=documents[index].span(chosen[index]),
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
        empty_documents=tuple(index for index, document in enumerate(documents) if not document.tokens),
        unknown_documents=tuple(index for index, document in enumerate(documents) if document.unknown),
        query_unknown=prepared.query_unknown,
        timings=timings,
    )


def _best(logits: Sequence[float], document: PreparedDocument) -> int:
    """Which of a document's chunks scored highest; the first of equals."""
    pairs = document.pairs
    return 0 if len(pairs) == 1 else max(range(len(pairs)), key=lambda number: logits[pairs[number]])


def _merged(logits: Sequence[float], document: PreparedDocument, options: RerankOptions) -> float:
    """The document's logit."""
    if not document.tokens:
        return EMPTY_LOGIT
    if len(document.pairs) == 1:
        return logits[document.pairs[0]]
    return _aggregate([logits[pair] for pair in document.pairs], options)


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
