"""The gate in front of lower precisions: how far their scores may be from fp32's, on lists of judged documents."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rerank_bundle.errors import PrecisionRefused

LEAST_TAU = 0.995
MOST_NDCG_LOSS = 0.002
DEPTH = 10

Scores = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A query with its candidates.

    Attributes:
        query: its text.
        documents: the candidates' texts.
        grades: how relevant each is; 0 for not at all.
    """

    query: str
    documents: tuple[str, ...]
    grades: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parity:
    """How a precision's scores compare with fp32's.

    Attributes:
        evaluation: what they were compared on.
        queries: lists in it.
        pairs: scores in it.
        kendall_tau: mean over the lists.
        ndcg: of fp32, at 10.
        ndcg_change: of the precision, less fp32's.
        largest_difference: of any logit.
        mean_difference: of logits, without their signs.
    """

    evaluation: str
    queries: int
    pairs: int
    kendall_tau: float
    ndcg: float
    ndcg_change: float
    largest_difference: float
    mean_difference: float

    @property
    def passed(self) -> bool:
        """Whether it is near enough."""
        return self.kendall_tau >= LEAST_TAU and abs(self.ndcg_change) <= MOST_NDCG_LOSS

    def record(self, precision: str) -> dict[str, Any]:
        """What bundle.json says of it, rounded."""
        numbers = {name: round(x, 5) if isinstance(x, float) else x for name, x in asdict(self).items()}
        return {"precision": precision, "passed": self.passed, **numbers}


def compare(evaluation: str, judged: Sequence[Judged], reference: Scores, scores: Scores) -> Parity:
    """Hold `scores` against `reference`, both a list per entry of `judged`."""
    changes = [abs(x - y) for a, b in zip(reference, scores, strict=True) for x, y in zip(a, b, strict=True)]
    count = len(judged)
    before = sum(ndcg(entry.grades, a) for entry, a in zip(judged, reference, strict=True)) / count
    after = sum(ndcg(entry.grades, b) for entry, b in zip(judged, scores, strict=True)) / count
    return Parity(
        evaluation=evaluation,
        queries=count,
        pairs=len(changes),
        kendall_tau=sum(kendall_tau(a, b) for a, b in zip(reference, scores, strict=True)) / count,
        ndcg=before,
        ndcg_change=after - before,
        largest_difference=max(changes),
        mean_difference=sum(changes) / len(changes),
    )


def enforce(parity: Parity, precision: str, *, force: bool) -> None:
    """Raise PrecisionRefused unless the gate is passed, or forced."""
    if parity.passed or force:
        return
    raise PrecisionRefused(
        f"{precision} ranks too differently from fp32 on {parity.evaluation}: Kendall's tau {parity.kendall_tau:.4f} "
        f"(at least {LEAST_TAU}), nDCG@10 {parity.ndcg_change:+.4f} (at most ±{MOST_NDCG_LOSS}), logits differ by "
        f"up to {parity.largest_difference:.3f}.",
        tip="Package without --precision (fp32 on CPUs), or say --force-precision if you can live with it.",
    )


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's τ-a of two scorings of the same documents; 1 where there is no pair to order.

    M. G. Kendall, A New Measure of Rank Correlation, Biometrika 30 (1938). Pairs tied in both count as agreeing.
    """
    count = len(first)
    if count < 2:
        return 1.0
    total = 0
    for i in range(count):
        for j in range(i):
            one, two = first[i] - first[j], second[i] - second[j]
            total += 1 if one * two > 0 or one == two == 0 else -1 if one * two < 0 else 0
    return 2 * total / (count * (count - 1))


def ndcg(grades: Sequence[int], scores: Sequence[float]) -> float:
    """nDCG@10 with linear gains (https://dl.acm.org/doi/10.1145/582415.582418); 0 where nothing is relevant."""
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    ideal = _gain(sorted(grades, reverse=True))
    return _gain([grades[index] for index in order]) / ideal if ideal else 0.0


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(place + 2) for place, grade in enumerate(grades[:DEPTH]))
