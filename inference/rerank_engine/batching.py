"""Which pairs share a forward pass: pure, no tensors."""

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
