"""Teacher scores in a file: what a teacher said once, kept to learn from again, or made by a model this kit cannot run.

The file is JSON Lines (.gz too), each line either of

    {"query": "…", "passages": ["…", "…"], "scores": [7.1, -3.2]}
    {"query": "…", "passage": "…", "score": 7.1}

in any order; a query may have several lines. Scores are on any scale, greater for more relevant: they are standardised
per query. Texts are matched as they are written, so data that is learned from with --as-is needs no more than its own.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerank_training.errors import DataError
from rerank_training.mining import Lists, Teacher
from rerank_training.passages import TrainingText
from rerank_training.texts import json_lines

Scores = dict[str, dict[str, float]]  # query → passage → score
Report = Callable[[str, float], None]


def read_scores(path: Path) -> Scores:
    """The scores in a file; of a pair that is there twice the last counts.

    Raises:
        DataError: the file is missing, or a line is not of the format above; the message names it.
    """
    found: Scores = {}
    for where, value in json_lines(path):
        query, passages, scores = _fields(value, where)
        found.setdefault(query, {}).update(zip(passages, scores, strict=True))
    return found


def _fields(value: dict[str, Any], where: str) -> tuple[str, list[str], list[float]]:
    """Query, passages and as many scores of a line."""
    single = "passage" in value
    query: Any = value.get("query")
    passages: Any = [value["passage"]] if single else value.get("passages")
    scores: Any = [value.get("score")] if single else value.get("scores")
    if not isinstance(query, str) or not _are(passages, str) or not _are(scores, float, int):
        raise DataError(
            f"{where} holds no scores.",
            tip='A line is {"query": …, "passages": […], "scores": […]} or {"query": …, "passage": …, "score": …}.',
        )
    if len(passages) != len(scores):
        raise DataError(f"{where} has {len(passages)} passages and {len(scores)} scores.")
    if not np.isfinite(scores).all():
        raise DataError(f"{where} has a score that is not finite.")
    return query, passages, [float(score) for score in scores]


def _are(values: Any, *types: type) -> bool:
    return isinstance(values, list) and all(isinstance(v, types) and not isinstance(v, bool) for v in values)


class StoredTeacher:
    """Stored scores over the texts of a run. A passage that nobody scored for a query counts as its worst did.

    Raises:
        DataError: a query has no score for any passage of the run.
    """

    def __init__(self, path: Path, text: TrainingText) -> None:
        stored = read_scores(path)
        places = {passage: place for place, passage in enumerate(text.passages)}
        self._scores: list[dict[int, float]] = []
        for query in text.queries:
            found = {places[passage]: s for passage, s in stored.get(query, {}).items() if passage in places}
            self._scores.append(found)
        missing = [query for query, found in zip(text.queries, self._scores, strict=True) if not found]
        if missing:
            raise DataError(
                f"{path} scores no passage for {len(missing)} of {len(text.queries)} queries, such as {missing[0]!r}.",
                tip="Texts must be those that were scored: --as-is keeps passages whole and makes no queries.",
            )

    def score(self, query: int, passages: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Teacher`."""
        found = self._scores[query]
        worst = min(found.values())
        return np.array([found.get(int(place), worst) for place in passages], dtype=np.float32)

    def scored(self, query: int) -> list[int]:
        """The passages that have a score for this query, as the file lists them: what a list should hold first."""
        return list(self._scores[query])


class Recorded:
    """A teacher that remembers what it said, so that it can be written down without asking again."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self._said: dict[int, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}

    def score(self, query: int, passages: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Teacher`."""
        kept = self._said.get(query)
        if kept is None or not np.array_equal(kept[0], passages):
            self._said[query] = kept = (passages, self._teacher.score(query, passages))
        return kept[1]


def write_scores(path: Path, text: TrainingText, lists: Lists, teacher: Teacher, report: Report) -> None:
    """Write what `teacher` says of each query's candidates, in their order, to the last bit; atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    zipped = path.suffix == ".gz"
    with gzip.open(temporary, "wt", encoding="utf-8") if zipped else temporary.open("w", encoding="utf-8") as file:
        for n, query in enumerate(text.queries):
            report("writing the teacher's scores", n / len(text.queries))
            places = np.asarray(lists.candidates[n], dtype=np.int64)
            scores = teacher.score(n, places)
            said = {text.passages[int(p)]: float(f"{s:.9g}") for p, s in zip(places, scores, strict=True)}
            line = {"query": query, "passages": list(said), "scores": list(said.values())}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    temporary.replace(path)
