"""An endpoint, asked by the kit's own client."""

from collections.abc import Sequence
from typing import Any

from rerank_training.errors import ScorerError


class EndpointScorer:
    """See `Scorer`. Scores are what the endpoint reports: the sigmoid of the logit.

    Args:
        endpoint: its name.
        runtime: boto3's sagemaker-runtime client; it knows which AWS is meant. None makes one of the default session.
    """

    def __init__(self, endpoint: str, *, runtime: Any = None) -> None:
        from rerank_client import RerankClient

        self._client = RerankClient(endpoint, client=runtime)
        self.name = f"endpoint:{endpoint}"
        self.details: dict[str, object] = {}

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        answer = self._client.rerank(query, list(passages))
        if answer.model:
            self.details["model"] = answer.model
        found = {result.index: result.score for result in answer.results}
        if len(found) != len(passages):
            raise ScorerError(f"{self.name} ranked {len(found)} of {len(passages)} passages.")
        return [found[index] for index in range(len(passages))]
