"""The values that travel between dialects, scheduler and engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """What a caller may ask of one rerank call.

    Attributes:
        top_n: keep this many best documents; None keeps all.
        max_tokens_per_document: cut each document to this many tokens; None allows what fits the window.
        truncate: when False, a query or document that does not fit is an InvalidRequest instead of being cut.
    """

    top_n: int | None = None
    max_tokens_per_document: int | None = None
    truncate: bool = True


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """One scored document.

    Attributes:
        index: position in the caller's list.
        logit: raw model output.
        score: sigmoid(logit), in (0, 1).
        tokens: document tokens that were scored.
        truncated: whether the document was cut to fit.
    """

    index: int
    logit: float
    score: float
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model saw them; total_tokens counts special tokens and the query once per document."""

    query_tokens: int
    document_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went, in seconds."""

    queue_s: float = 0.0
    tokenize_s: float = 0.0
    forward_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RerankResult:
    """The answer to one rerank call: results best first, ties in the caller's order."""

    results: tuple[RankedDocument, ...]
    usage: Usage
    query_truncated: bool = False
    truncated_documents: tuple[int, ...] = ()
    timings: Timings = field(default_factory=Timings)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """One query–document pair as token ids, special tokens included.

    Attributes:
        ids: token ids of the whole pair.
        document_tokens: how many of them are the document's.
        truncated: whether document tokens were dropped.
    """

    ids: Sequence[int]
    document_tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as token ids, between `Reranker.prepare` and `Reranker.finish`.

    Attributes:
        pairs: one per document, in the caller's order; equal documents share one TokenPair object.
        options: what the caller asked for.
        query_tokens: tokens of the query that are scored.
        query_truncated: whether the query was cut.
        tokenize_s: seconds it took.
    """

    pairs: Sequence[TokenPair]
    options: RerankOptions
    query_tokens: int
    query_truncated: bool
    tokenize_s: float
