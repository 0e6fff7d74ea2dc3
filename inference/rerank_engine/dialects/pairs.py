"""Formats of (query, document) pairs, answered in the order they came: pairs of one query are ranked together."""

from collections.abc import Iterable, Sequence

from rerank_engine.dialects.base import Path, Ranking
from rerank_engine.types import RerankOptions, RerankResult


def rankings_of(
    pairs: Iterable[tuple[str, str]], *, options: RerankOptions, places: Sequence[tuple[Path, Path]]
) -> tuple[Ranking, ...]:
    """One ranking per distinct query, queries in the order of their first pair.

    Args:
        pairs: query and document each.
        options: for all of them.
        places: where each pair's query and document stand in the payload.
    """
    members: dict[str, list[int]] = {}
    documents = []
    for number, (query, document) in enumerate(pairs):
        members.setdefault(query, []).append(number)
        documents.append(document)
    return tuple(
        Ranking(
            query,
            tuple(documents[number] for number in numbers),
            options,
            query_at=places[numbers[0]][0],
            documents_at=places[0][1][:1],
            each_at=tuple(places[number][1] for number in numbers),
        )
        for query, numbers in members.items()
    )


def scores_in_order(
    queries: Sequence[str], rankings: Sequence[Ranking], results: Sequence[RerankResult]
) -> list[float]:
    """The score of each pair; `queries` are the pairs' own, in order."""
    scores = {
        ranking.query: iter(sorted((document.index, document.score) for document in result.results))
        for ranking, result in zip(rankings, results, strict=True)
    }
    return [next(scores[query])[1] for query in queries]
