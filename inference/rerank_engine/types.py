"""The values that travel between dialects, scheduler and engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

# Of a document without tokens: far below what any cross-encoder says, and a number that float16 holds.
EMPTY_LOGIT = -10_000.0


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """What a caller may ask of one rerank call.

    Attributes:
        top_n: keep this many best documents; None keeps all.
        max_tokens_per_document: cut each document to this many tokens; None reads what the chunks reach.
        truncate: when False, a query or document that would lose tokens is an InvalidRequest instead of being cut.
        max_tokens_per_query: cut the query to this many tokens; None allows the setting's.
        max_chunks_per_document: chunks of a long document; None takes the setting's.
        chunk_tokens: tokens of a chunk; None takes the setting's.
        chunk_overlap: tokens that neighbouring chunks share; None takes the setting's.
        aggregate: the logit of a document of several chunks: the best one's (max), or the mean of the
            `aggregate_top_k` best (mean_top_k).
        aggregate_top_k: chunks that mean_top_k takes.
        score: what a score is: the logit (raw), its sigmoid, or a probability by the bundle's calibration.
        score_threshold: drop documents that score less, in the unit of `score`.
        order: best first (score), or as they came (input).
        locate: find the characters that each document's best chunk covers.
    """

    top_n: int | None = None
    max_tokens_per_document: int | None = None
    truncate: bool = True
    max_tokens_per_query: int | None = None
    max_chunks_per_document: int | None = None
    chunk_tokens: int | None = None
    chunk_overlap: int | None = None
    aggregate: Literal["max", "mean_top_k"] = "max"
    aggregate_top_k: int = 3
    score: Literal["sigmoid", "raw", "calibrated"] = "sigmoid"
    score_threshold: float | None = None
    order: Literal["score", "input"] = "score"
    locate: bool = False


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """One scored document.

    Attributes:
        index: position in the caller's list.
        logit: raw model output; of several chunks, aggregated; EMPTY_LOGIT of a document without tokens.
        score: sigmoid(logit), in (0, 1), unless the options ask for another; 0 of a document without tokens.
        tokens: document tokens that were read, each counted once.
        truncated: whether the document was cut.
        chunks: into how many it was split.
        best_chunk: which of them scored highest, from 0.
        span: the characters of the document that the best chunk covers, as (start, stop); None unless asked for.
    """

    index: int
    logit: float
    score: float
    tokens: int
    truncated: bool
    chunks: int = 1
    best_chunk: int = 0
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model sees them: total_tokens counts special tokens and the query once per pair.

    A pair is a document, or one chunk of a long one; tokens on which two chunks overlap are read twice and count twice.
    Equal documents are computed once and counted each.
    """

    query_tokens: int
    document_tokens: int
    total_tokens: int
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went, in seconds."""

    queue_s: float = 0.0
    tokenize_s: float = 0.0
    forward_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RerankResult:
    """The answer to one rerank call: results best first, ties in the caller's order.

    `empty_documents` have no tokens and stand last. More than half of the tokens of `unknown_documents`, or of the
    query, are not in the vocabulary, so that the model saw little of them.
    """

    results: tuple[RankedDocument, ...]
    usage: Usage
    query_truncated: bool = False
    truncated_documents: tuple[int, ...] = ()
    empty_documents: tuple[int, ...] = ()
    unknown_documents: tuple[int, ...] = ()
    query_unknown: bool = False
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
class PreparedDocument:
    """One document of a request, as pairs.

    Attributes:
        pairs: which of the request's pairs are its chunks; documents of equal tokens have the same.
        tokens: document tokens in them, each counted once.
        truncated: whether tokens are in none of them.
        spans: the characters each chunk covers; empty unless asked for.
        unknown: whether more than half of its tokens are not in the vocabulary.
    """

    pairs: range
    tokens: int
    truncated: bool
    spans: Sequence[tuple[int, int]] = ()
    unknown: bool = False

    def span(self, chunk: int) -> tuple[int, int] | None:
        """The characters of a chunk; None when they were not asked for."""
        return self.spans[chunk] if self.spans else None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as token ids, between `Reranker.prepare` and `Reranker.finish`.

    Attributes:
        pairs: to be scored: every chunk of every document whose tokens are distinct.
        documents: in the caller's order.
        options: what the caller asked for.
        query_tokens: tokens of the query that are scored.
        query_truncated: whether the query was cut.
        tokenize_s: seconds it took.
        query_unknown: whether more than half of the query's tokens are not in the vocabulary.
    """

    pairs: Sequence[TokenPair]
    documents: Sequence[PreparedDocument]
    options: RerankOptions
    query_tokens: int
    query_truncated: bool
    tokenize_s: float
    query_unknown: bool = False
