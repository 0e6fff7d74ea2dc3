"""What a scorer is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Scorer(Protocol):
    """Scores the passages of one query.

    Attributes:
        name: how tables call it.
        details: what a reader needs to repeat it: precision, device, parameters.
    """

    name: str
    details: dict[str, object]

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """One number per passage, in order, greater for more relevant."""
        ...


@dataclass(frozen=True)
class FirstStage:
    """The run's own order: the baseline every reranker is held against."""

    name: str = "bm25"
