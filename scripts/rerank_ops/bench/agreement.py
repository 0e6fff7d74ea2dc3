"""How much two sets of scores agree."""

from collections.abc import Sequence


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's τ-a: concordant less discordant pairs, over all pairs; 1 where there is no pair.

    M. G. Kendall, A New Measure of Rank Correlation, Biometrika 30 (1938).
    """
    count = len(first)
    if count < 2:
        return 1.0
    total = 0
    for i in range(count):
        for j in range(i):
            product = (first[i] - first[j]) * (second[i] - second[j])
            total += (product > 0) - (product < 0) if product else int(first[i] == first[j] and second[i] == second[j])
    return 2 * total / (count * (count - 1))


def mean_tau(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """The mean of each list's τ."""
    return sum(kendall_tau(a, b) for a, b in zip(first, second, strict=True)) / len(first)


def largest_difference(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """Of any two scores of the same document."""
    return max(abs(x - y) for a, b in zip(first, second, strict=True) for x, y in zip(a, b, strict=True))
