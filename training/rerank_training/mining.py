"""Candidate lists to learn from: the positive, BM25's hard negatives and random passages, with the teachers' scores.

Everything a training run needs of its teachers is computed here once and kept in one file; the run itself only draws
from it.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rerank_training.bm25 import Bm25, best
from rerank_training.errors import DataError
from rerank_training.passages import TrainingText

SPREAD_FLOOR = 1e-3
LOWEST = -6.0  # random passages lie far below the hard ones; how far says nothing


class Teacher(Protocol):
    """Scores passages for queries, both named by position."""

    def score(self, query: int, passages: NDArray[np.int64]) -> NDArray[np.float32]:
        """One number per passage, greater for more relevant, on any scale."""
        ...


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write one .npz file atomically: a run that is stopped meanwhile leaves none."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.replace(path)


@dataclass(frozen=True)
class Lists:
    """Candidates of each query: column 0 is the positive (or the best by BM25 where none is known), then hard, then
    random ones.

    Attributes:
        candidates: passage positions: int32 (Q, C).
        scores: the teachers' mixture, standardised per query: float32 (Q, C).
        labelled: whether column 0 is a known positive: bool (Q,).
        hard: how many columns after the first are BM25's.
    """

    candidates: NDArray[np.int32]
    scores: NDArray[np.float32]
    labelled: NDArray[np.bool_]
    hard: int

    def save(self, path: Path) -> None:
        """Writes one .npz file, atomically."""
        save_arrays(
            path,
            candidates=self.candidates,
            scores=self.scores,
            labelled=self.labelled,
            hard=np.array(self.hard),
        )

    @classmethod
    def load(cls, path: Path) -> "Lists":
        """Reads what `save` wrote; DataError when it is something else."""
        try:
            with np.load(path) as file:
                return cls(file["candidates"], file["scores"], file["labelled"], int(file["hard"]))
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} is not a file of candidate lists: {error}.") from error


def mine(
    text: TrainingText,
    teachers: Mapping[str, Teacher],
    weights: Mapping[str, float],
    *,
    hard: int = 30,
    random: int = 6,
    seed: int = 0,
    own: Callable[[int], Sequence[int]] = lambda query: (),
    report: Callable[[float], None] = lambda done: None,
) -> Lists:
    """Lists of 1 + `hard` + `random` passages for each query.

    A passage that is known to answer the query is none of its negatives. The hard ones are those that `own` names for
    the query (negatives that came with it, passages that were scored for it), then BM25's best others. `report` is told
    how much is done (0..1).

    The mixture is the weighted sum of the teachers' scores, each standardised by its mean and deviation over the
    query's hard candidates: teachers of different scales speak equally loud. A teacher called "bm25" need not be
    given: it is BM25 itself.

    Raises:
        DataError: no teacher has a weight, or there are fewer passages than a list needs.
    """
    named = {name: weight for name, weight in weights.items() if weight}
    if not named or not named.keys() <= {*teachers, "bm25"}:
        raise DataError(f"Teachers {sorted(named)} were given weights; there are {sorted({*teachers, 'bm25'})}.")
    columns = 1 + hard + random
    if len(text.passages) < columns:
        raise DataError(f"There are {len(text.passages)} passages; lists of {columns} cannot be drawn from them.")
    report(0.0)  # making the index takes a while, and says nothing
    bm25 = Bm25(text.passages)
    draw = np.random.default_rng(seed)
    candidates = np.empty((len(text.queries), columns), dtype=np.int32)
    scores = np.zeros((len(text.queries), columns), dtype=np.float32)
    for n, query in enumerate(text.queries):
        lexical = bm25.scores(query)
        known = set(text.known[n]) if text.known else set()
        ranked = best(lexical, min(hard + 1 + len(known), len(text.passages)))
        first = text.positives[n] if text.positives[n] >= 0 else int(ranked[0])
        wrong = known | {first}  # what no list may hold as a negative
        others = [p for p in dict.fromkeys([*own(n), *map(int, ranked)]) if p not in wrong][:hard]
        if len(others) < hard or len(wrong) >= len(text.passages):
            raise DataError(
                f"{len(known)} passages answer {query!r}; that leaves fewer than {hard} others.", tip="Lower --hard."
            )
        report(n / len(text.queries))
        drawn = [_other(int(p), wrong, len(text.passages)) for p in draw.integers(len(text.passages), size=random)]
        chosen = np.array([first, *others, *drawn], dtype=np.int64)
        candidates[n] = chosen
        for name, weight in named.items():
            found = teachers[name].score(n, chosen) if name in teachers else lexical[chosen]
            scores[n] += weight * standardised(found, slice(0, hard + 1))
    np.maximum(scores, LOWEST, out=scores)
    return Lists(candidates, scores, np.array(text.positives) >= 0, hard)


def _other(passage: int, wrong: Container[int], count: int) -> int:
    """`passage`, or the next of `count` that is not in `wrong`."""
    while passage in wrong:
        passage = (passage + 1) % count
    return passage


def standardised(scores: NDArray[np.float32], among: slice) -> NDArray[np.float32]:
    """`scores` minus their mean, over their deviation, both taken over the positions `among`."""
    part = scores[among]
    return np.asarray((scores - part.mean()) / max(float(part.std()), SPREAD_FLOOR), dtype=np.float32)


@dataclass(frozen=True)
class Embeddings:
    """A bi-encoder as a teacher: cosine of unit vectors.

    Attributes:
        queries: float32 (Q, W).
        passages: float32 (P, W).
    """

    queries: NDArray[np.float32]
    passages: NDArray[np.float32]

    def score(self, query: int, passages: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Teacher`."""
        return np.asarray(self.passages[passages] @ self.queries[query], dtype=np.float32)


@dataclass(frozen=True)
class Drawn:
    """The lists of one training step, B of N.

    Attributes:
        queries: positions (B,).
        passages: positions (B, N).
        scores: the teachers' (B, N).
        labelled: whether passage 0 is a known positive (B,).
    """

    queries: NDArray[np.int64]
    passages: NDArray[np.int64]
    scores: NDArray[np.float32]
    labelled: NDArray[np.bool_]


def draw(
    lists: Lists, pool: Sequence[int] | NDArray[np.int64], *, step: int, seed: int, batch: int, size: int
) -> Drawn:
    """The lists of step `step`: a function of its arguments alone, so that a resumed run sees what it would have seen.

    Epochs go through `pool` in a new order each. Of a list, column 0 is always taken; half of the others come from
    BM25's first ten, a quarter from its rest, a quarter from the random ones.
    """
    pool = np.asarray(pool, dtype=np.int64)
    places = np.arange(step * batch, (step + 1) * batch)
    order = {e: np.random.default_rng([seed, 1, int(e)]).permutation(pool) for e in np.unique(places // len(pool))}
    queries = np.array([order[place // len(pool)][place % len(pool)] for place in places])
    rng = np.random.default_rng([seed, 2, step])
    top = min(10, lists.hard)
    random_columns = lists.candidates.shape[1] - 1 - lists.hard
    others = size - 1
    easy = min(random_columns, max(1, others // 4))
    deep = min(lists.hard - top, others // 4)
    near = min(top, others - easy - deep)
    columns = np.stack(
        [
            np.concatenate(
                [
                    [0],
                    1 + rng.choice(top, near, replace=False),
                    1 + top + rng.choice(max(1, lists.hard - top), deep, replace=False),
                    1 + lists.hard + rng.choice(max(1, random_columns), easy, replace=False),
                ]
            )
            for _ in queries
        ]
    )
    rows = queries[:, None]
    return Drawn(queries, lists.candidates[rows, columns], lists.scores[rows, columns], lists.labelled[queries])
