"""How much two sets of scores agree."""

from collections.abc import Sequence

from rerank_bundle.parity import kendall_tau


def mean_tau(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """The mean of each list's τ."""
    return sum(kendall_tau(a, b) for a, b in zip(first, second, strict=True)) / len(first)


def largest_difference(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """Of any two scores of the same document."""
    return max(abs(x - y) for a, b in zip(first, second, strict=True) for x, y in zip(a, b, strict=True))
