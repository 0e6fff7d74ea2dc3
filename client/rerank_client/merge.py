"""Putting the answers of the parts together. Pure."""

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rerank_client.errors import BadResponse
from rerank_client.types import Document, RankedDocument, RerankResponse


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """One request's answer, indices already those of the caller's list."""

    results: tuple[RankedDocument, ...]
    model: str | None
    total_tokens: int
    custom_attributes: str = ""


def parse(body: bytes, *, start: int, count: int, custom_attributes: str = "") -> PartAnswer:
    """A response of Jina's format; `start` and `count` place the part in the caller's list.

    Raises:
        BadResponse: it is not one: not JSON, no results, an index out of range or twice, a score that is no number.
    """
    try:
        answer = json.loads(body)
        usage = answer.get("usage") or {}
        results = tuple(RankedDocument(int(r["index"]) + start, float(r["relevance_score"])) for r in answer["results"])
        model, total_tokens = answer.get("model"), int(usage.get("total_tokens", 0))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadResponse(f"The endpoint's answer is not a rerank answer ({error!r}): {body[:200]!r}") from None
    indices = {result.index for result in results}
    if len(indices) < len(results) or any(not start <= index < start + count for index in indices):
        raise BadResponse(f"The endpoint's answer repeats or invents document indices: {body[:200]!r}")
    if any(result.score != result.score for result in results):
        raise BadResponse(f"The endpoint's answer holds a score that is not a number: {body[:200]!r}")
    return PartAnswer(results, model, total_tokens, custom_attributes)


def merge(
    answers: Sequence[PartAnswer], documents: Sequence[Document], *, top_n: int | None, return_documents: bool
) -> RerankResponse:
    """One response from those of the parts, given in the order of the parts.

    Within a part the endpoint's own order is kept: it sorts by the unrounded score. Between parts the higher score goes
    first, and the earlier part when they are equal, which is the order of the caller's list.
    """
    ranked = list(heapq.merge(*(answer.results for answer in answers), key=lambda result: -result.score))[:top_n]
    if return_documents:
        ranked = [replace(result, document=documents[result.index]) for result in ranked]
    return RerankResponse(
        results=tuple(ranked),
        model=next((answer.model for answer in answers if answer.model), None),
        total_tokens=sum(answer.total_tokens for answer in answers),
        requests=len(answers),
        custom_attributes=tuple(answer.custom_attributes for answer in answers),
    )
