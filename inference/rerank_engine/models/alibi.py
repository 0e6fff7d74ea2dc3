"""Attention with linear biases (https://arxiv.org/abs/2108.12409), symmetric as encoders use it.

    bias[h, i, j] = -slope[h] · |i - j|

It depends on distances alone, so one row of 2L - 1 numbers a head says it all. `query_bias` shows those rows as a
(H, L, L) view with overlapping strides: nothing quadratic is ever stored. At 8192 tokens and 12 heads that is 0.8 MB
instead of 3.2 GB.
"""

import math

import torch
from torch import Tensor


def slopes(heads: int, tail_scale: float = 1.0) -> tuple[float, ...]:
    """Slope of each head, by the published recipe.

    For n heads with n a power of two: 2^(-8k/n), k = 1..n. Otherwise those of the next lower power of two m, then every
    other one of those of 2m. `tail_scale` multiplies the latter: 0.5 for jina-reranker-v1-tiny-en and -turbo-en
    (2^-1.5, 2^-2.5… in place of 2^-0.5, 2^-1.5…), 1.0 otherwise.
    """
    whole = 2 ** math.floor(math.log2(heads))
    head = _powers(whole)
    tail = _powers(2 * whole)[0::2][: heads - whole]
    return (*head, *(tail_scale * slope for slope in tail))


def _powers(count: int) -> list[float]:
    return [2.0 ** (-8.0 * k / count) for k in range(1, count + 1)]


def distance_rows(head_slopes: Tensor, length: int) -> Tensor:
    """-slope · |distance| for distances -(length-1) … length-1: float32 (H, 2·length - 1)."""
    distance = torch.arange(1 - length, length, device=head_slopes.device).abs()  # (2L-1,)
    return -head_slopes[:, None] * distance


def query_bias(rows: Tensor, length: int, queries: int) -> Tensor:
    """The bias of a sequence's first `queries` tokens against its `length` keys in *reverse* order, as a view.

    With keys reversed (j' = length-1-j) the distance i - j is i + j' - (length-1): each query's row is the one before
    it moved on by one, which is what `unfold` shows without copying. `rows` may be made for a longer length.

    Returns:
        (H, queries, length)
    """
    centre = rows.shape[-1] // 2
    window = rows[:, centre - (length - 1) : centre + queries]  # (H, length-1 + queries)
    return window.unfold(-1, length, 1)  # (H, queries, length)
