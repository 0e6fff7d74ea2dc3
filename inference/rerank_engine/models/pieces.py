"""Results that come in pieces."""

from collections.abc import Iterator

import torch
from torch import Tensor


def joined(pieces: Iterator[Tensor], count: int) -> Tensor:
    """Pieces (R, …), one at least, below one another: (`count`, …).

    Each is copied to its place as it comes: all of them beside the result would take twice its memory.
    """
    first = next(pieces)
    if first.requires_grad:
        return torch.cat([first, *pieces])  # the gradient of a copy into a slice would go through the whole result
    if len(first) == count:
        return first
    result = first.new_empty((count, *first.shape[1:]))
    result[: len(first)] = first
    start = len(first)
    del first
    for piece in pieces:
        result[start : start + len(piece)] = piece
        start += len(piece)
    return result
