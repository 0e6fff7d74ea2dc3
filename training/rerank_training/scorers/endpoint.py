"""An endpoint, asked by the kit's own client."""

from collections.abc import Sequence
from typing import Any


class EndpointScorer:
    """See `Scorer`. Scores are what the endpoint reports: the sigmoid of the logit."""

    def __init__(self, endpoint: str, *, session: Any = None) -> None:
        from rerank_client import RerankClient

        self._client = RerankClient(endpoint, session=session)
        self.name = f"endpoint:{endpoint}"
        self.details: dict[str, object] = {}

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        answer = self._client.rerank(query, list(passages))
        if answer.model:
            self.details["model"] = answer.model
        scores = [0.0] * len(passages)
        for found in answer.results:
            scores[found.index] = found.score
        return scores
