"""Which pairs share a forward pass: pure decisions, no threads, no clock, no tensors."""

from collections.abc import Sequence


def distinct(pairs: Sequence[Sequence[int]]) -> tuple[list[Sequence[int]], list[int]]:
    """The pairs of which the token ids differ, in order, and for each of `pairs` its place among them.

    Equal ids are computed once: a pair computed twice, in two batches, has two scores, which differ in the last digits.
    """
    places_of: dict[tuple[int, ...], int] = {}
    places = [places_of.setdefault(tuple(pair), len(places_of)) for pair in pairs]
    first: dict[int, Sequence[int]] = {}
    for place, pair in zip(places, pairs, strict=True):
        first.setdefault(place, pair)
    return list(first.values()), places


def plan(lengths: Sequence[int], *, token_budget: int, max_sequences: int) -> list[list[int]]:
    """Batches of indices into `lengths`, longest pairs first.

    Each index appears exactly once. The lengths of a batch sum to at most `token_budget` tokens and there are at most
    `max_sequences` of them; a pair longer than the whole budget goes alone. Equal lengths keep their order, so that
    the plan is the same on every call.
    """
    batches: list[list[int]] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fits = batches and tokens + lengths[index] <= token_budget and len(batches[-1]) < max_sequences
        if not fits:
            batches.append([])
            tokens = 0
        batches[-1].append(index)
        tokens += lengths[index]
    return batches


def longest_first(pairs: Sequence[Sequence[int]]) -> list[int]:
    """Indices of `pairs` by falling length, equal lengths in order.

    Neighbours of equal length cost the least padding, and what does not fit the memory fails first, not last.
    """
    return sorted(range(len(pairs)), key=lambda index: -len(pairs[index]))


def fair_batch(
    queues: Sequence[Sequence[int]], starts: Sequence[int], *, token_budget: int, max_pairs: int
) -> list[int]:
    """How many pairs to take from each of the waiting requests, next to be served first.

    Pair by pair in turn, so that a request with one document never stands behind one with 5,000: whoever needs little
    gets all of it, and the large share what is left. A pair that does not fit ends its request's turn, others go on;
    the very first pair always fits, even if it is longer than the budget: it goes alone.

    Args:
        queues: per request, the lengths in tokens of all its pairs, in the order they are to be taken.
        starts: per request, how many of them were taken before.
        token_budget: tokens of one forward pass.
        max_pairs: pairs of one forward pass.

    Returns:
        Per request, how many pairs to take now; at least one in total if any is left.
    """
    counts = [0] * len(queues)
    pairs, tokens = 0, 0
    waiting = [number for number, queue in enumerate(queues) if starts[number] < len(queue)]
    while waiting:
        still_waiting = []
        for number in waiting:
            length = queues[number][starts[number] + counts[number]]
            if pairs and (tokens + length > token_budget or pairs >= max_pairs):
                continue
            counts[number] += 1
            pairs, tokens = pairs + 1, tokens + length
            if starts[number] + counts[number] < len(queues[number]):
                still_waiting.append(number)
        waiting = still_waiting
    return counts


def slice_tokens(tokens_per_s: float | None, *, token_budget: int, slice_s: float) -> int:
    """The budget of a forward pass that ends in about `slice_s`: what a request that comes just now has to wait.

    A GPU fills the whole budget in milliseconds; a CPU may take seconds, and gains nothing from batches so large.
    Before anything was measured (`tokens_per_s` None) an eighth of the budget is taken.
    """
    wanted = token_budget // 8 if tokens_per_s is None else int(tokens_per_s * slice_s)
    return max(1, min(token_budget, wanted))
