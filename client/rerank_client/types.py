"""What a call returns."""

from collections.abc import Mapping
from dataclasses import dataclass

# A document as callers give it: the text, or an object that has it under "text" (and is handed back whole).
Document = str | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """One scored document.

    Attributes:
        index: position in the list the caller gave.
        score: relevance in (0, 1), as the endpoint reported it.
        document: the caller's own document when return_documents was asked for, else None.
    """

    index: int
    score: float
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class RerankResponse:
    """The answer to one call, however many requests it took.

    Attributes:
        results: best first; equal scores in the caller's order.
        model: the model's name as the endpoint reports it; None when nothing was sent.
        total_tokens: tokens the model read, over all requests.
        requests: how many requests were sent (retries not counted).
        custom_attributes: X-Amzn-SageMaker-Custom-Attributes of each response, in the order of the parts.
    """

    results: tuple[RankedDocument, ...]
    model: str | None = None
    total_tokens: int = 0
    requests: int = 0
    custom_attributes: tuple[str, ...] = ()
