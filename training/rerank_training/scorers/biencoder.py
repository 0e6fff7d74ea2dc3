"""A bi-encoder as a reranker: cosine of query and passage. Passages are encoded once and kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rerank_training.biencoder import PACKAGED, BiEncoder, packaged_folder


class BiEncoderScorer:
    """See `Scorer`."""

    def __init__(self, name: str) -> None:
        folder = packaged_folder() if name == "packaged" else Path(name)
        self._encoder = BiEncoder(folder)
        self._known: dict[str, NDArray[np.float32]] = {}
        self.name = "all-MiniLM-L6-v2 (bi-encoder)" if name == "packaged" else f"{folder.resolve().name} (bi-encoder)"
        self.details: dict[str, object] = {"package": PACKAGED} if name == "packaged" else {}

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        new = [text for text in dict.fromkeys(passages) if text not in self._known]
        encoded = self._encoder.encode([query, *new])
        self._known.update(zip(new, encoded[1:], strict=True))
        return [float(self._known[text] @ encoded[0]) for text in passages]
