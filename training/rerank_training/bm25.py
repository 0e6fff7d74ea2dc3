"""BM25 as a first stage and as a miner of hard negatives, by bm25s (https://arxiv.org/abs/2407.03618).

Lucene's variant with k1 = 0.9 and b = 0.4 (BEIR's and Anserini's values), English stop words, Snowball stemming.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerank_training.errors import INSTALL, DataError, MissingPackage

K1, B = 0.9, 0.4


def require_bm25() -> None:
    """BM25 can be computed here.

    Raises:
        MissingPackage: bm25s or PyStemmer is not installed.
    """
    try:
        import bm25s  # noqa: F401
        import Stemmer  # noqa: F401
    except ImportError as error:
        raise MissingPackage(f"BM25 needs the package {error.name}, which is not installed.", tip=INSTALL) from error


class Bm25:
    """An index over `texts`.

    Raises:
        MissingPackage: bm25s or PyStemmer is not installed.
        DataError: there is no text to index.
    """

    def __init__(self, texts: Sequence[str], *, k1: float = K1, b: float = B) -> None:
        require_bm25()
        import bm25s
        import Stemmer

        if not any(text.strip() for text in texts):
            raise DataError("BM25 has nothing to index: every text is empty.")
        self._tokenize: Callable[..., Any] = bm25s.tokenize
        self._stemmer = Stemmer.Stemmer("english")
        self._index = bm25s.BM25(method="lucene", k1=k1, b=b)
        self.size = len(texts)
        self._index.index(self._tokens(texts), show_progress=False)

    def search(self, queries: Sequence[str], top: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Positions and scores of the best texts of each query, best first, equal scores by position.

        Returns two arrays (Q, min(top, texts)). Texts that share no word with the query come last, with score 0.
        """
        top = min(top, self.size)
        indices = np.empty((len(queries), top), dtype=np.int64)
        scores = np.empty((len(queries), top), dtype=np.float32)
        for n, words in enumerate(self._tokens(queries)):
            row = self._row(words)
            indices[n] = best(row, top)
            scores[n] = row[indices[n]]
        return indices, scores

    def scores(self, query: str) -> NDArray[np.float32]:
        """The score of every text for one query: float32 (texts,)."""
        return self._row(self._tokens([query])[0])

    def _row(self, words: list[str]) -> NDArray[np.float32]:
        if not words:
            return np.zeros(self.size, dtype=np.float32)
        return np.asarray(self._index.get_scores(words), dtype=np.float32)

    def _tokens(self, texts: Sequence[str]) -> list[list[str]]:
        words: list[list[str]] = self._tokenize(
            list(texts), stopwords="en", stemmer=self._stemmer, show_progress=False, return_ids=False
        )
        return words


def best(row: NDArray[np.float32], top: int) -> NDArray[np.int64]:
    """Positions of the `top` largest values, largest first, equal ones by position."""
    threshold = np.partition(row, -top)[-top]
    members = np.flatnonzero(row >= threshold)
    return members[np.lexsort((members, -row[members]))][:top]
