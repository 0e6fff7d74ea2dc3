"""Rerank a first-stage run with several scorers and measure each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from rerank_training.beir import Collection
from rerank_training.chunking import Chunking, passages
from rerank_training.errors import ScorerError
from rerank_training.intervals import Difference, Interval, bootstrap, compare
from rerank_training.metrics import DEFAULT, PerQuery, per_query
from rerank_training.runs import Run
from rerank_training.scorers import FirstStage, Scorer


def _share(report: Callable[[float, int], None], done: int, of: int, share: float) -> None:
    """Report a `share` of the query that follows `done` finished ones."""
    report(done + share, of)


@dataclass(frozen=True)
class Result:
    """One scorer on one collection.

    Attributes:
        name: the scorer's.
        run: its ranking.
        values: each measure for each query.
        latency_ms: milliseconds per query, in the queries' order; empty for the first stage.
        details: what the scorer says of itself.
    """

    name: str
    run: Run
    values: PerQuery
    latency_ms: list[float] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)

    def interval(self, measure: str) -> Interval:
        """Mean and 95 % interval of a measure."""
        return bootstrap(list(self.values[measure].values()))

    def against(self, baseline: "Result", measure: str) -> Difference:
        """How this differs from `baseline` on a measure."""
        other = baseline.values[measure]
        return compare(list(self.values[measure].values()), [other[query] for query in self.values[measure]])


def evaluate(
    collection: Collection,
    first_stage: Run,
    scorer: Scorer | FirstStage,
    *,
    top: int = 100,
    chunking: Chunking | None = None,
    measures: Sequence[str] = DEFAULT,
    report: Callable[[float, int], None] = lambda done, of: None,
) -> Result:
    """Rerank each query's first `top` candidates; a document scores as its best passage does.

    `report` is told (queries done, queries) after each query, and within one after each part of its passages, where the
    scorer takes them in parts. Documents that score alike keep the first stage's order.

    Raises:
        ScorerError: the scorer gives another number of scores than there are passages, or the run names unknown
        documents.
    """
    candidates = {query: first_stage.get(query, [])[:top] for query in collection.queries}
    if isinstance(scorer, FirstStage):
        return Result(scorer.name, candidates, per_query(collection.qrels, candidates, measures))
    chunking = chunking or Chunking()
    cut: dict[str, list[str]] = {}
    run: Run = {}
    latency_ms = []
    of = len(collection.queries)
    for done, (query, text) in enumerate(collection.queries.items()):
        report(done, of)
        documents = [document for document, _ in candidates[query]]
        unknown = [document for document in documents if document not in collection.documents]
        if unknown:
            raise ScorerError(f"The run names {unknown[0]!r} for query {query!r}; the corpus has no such document.")
        for document in documents:
            if document not in cut:
                cut[document] = passages(collection.documents[document], chunking)
        started = time.perf_counter()
        parts = [cut[document] for document in documents]
        run[query] = _rank(text, documents, parts, scorer, partial(_share, report, done, of))
        latency_ms.append((time.perf_counter() - started) * 1000)
    report(of, of)
    return Result(scorer.name, run, per_query(collection.qrels, run, measures), latency_ms, dict(scorer.details))


def at_depth(
    collection: Collection, result: Result, first_stage: Run, top: int, measures: Sequence[str] = DEFAULT
) -> Result:
    """What `result` would have been with the first `top` candidates alone: the same scores, fewer documents."""
    allowed = {query: {document for document, _ in rows[:top]} for query, rows in first_stage.items()}
    run = {query: [row for row in rows if row[0] in allowed.get(query, ())] for query, rows in result.run.items()}
    name = f"{result.name} (first {top})"
    return Result(name, run, per_query(collection.qrels, run, measures), [], dict(result.details))


def _rank(
    query: str, documents: list[str], parts: list[list[str]], scorer: Scorer, report: Callable[[float], None]
) -> list[tuple[str, float]]:
    flat = [passage for part in parts for passage in part]
    scores = _scores(query, flat, scorer, report)
    if len(scores) != len(flat):
        raise ScorerError(f"{scorer.name} gave {len(scores)} scores for {len(flat)} passages.")
    best, start = [], 0
    for part in parts:
        best.append(max(scores[start : start + len(part)]))
        start += len(part)
    order = sorted(range(len(documents)), key=lambda n: -best[n])  # stable: ties keep the first stage's order
    return [(documents[n], best[n]) for n in order]


def _scores(query: str, passages: list[str], scorer: Scorer, report: Callable[[float], None]) -> list[float]:
    """The score of each of `passages`; equal ones are scored once where they come in parts, so that they tie."""
    size = getattr(scorer, "part", 0)
    if not 0 < size < len(passages):
        return scorer.score(query, passages) if passages else []
    distinct = list(dict.fromkeys(passages))
    found: dict[str, float] = {}
    for start in range(0, len(distinct), size):
        some = distinct[start : start + size]
        found.update(zip(some, scorer.score(query, some), strict=True))
        report(len(found) / len(distinct))
    return [found[passage] for passage in passages]
