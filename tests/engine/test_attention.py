"""Both ways of attending over packed tokens."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rerank_engine.models import PackedBatch
from rerank_engine.models.alibi import slopes
from rerank_engine.models.attention import PaddedAttention, SegmentAttention
from rerank_engine.models.grouping import near_equal

Make = Callable[[PackedBatch, Tensor | None], Any]
HEADS, WIDTH = 3, 8
LENGTHS = (5, 5, 1, 40, 7, 33, 5, 1)

WAYS: dict[str, Make] = {
    "segments": lambda batch, head_slopes: SegmentAttention(batch, head_slopes, torch.float64),
    "padded": lambda batch, head_slopes: PaddedAttention(batch, head_slopes, torch.float64),
    "padded, a query row at a time": lambda batch, head_slopes: PaddedAttention(
        batch, head_slopes, torch.float64, bias_bytes=1
    ),
}
every_way = pytest.mark.parametrize("way", WAYS)


def packed(*lengths: int) -> PackedBatch:
    return PackedBatch.pack([[1] * length for length in lengths], torch.device("cpu"), vocab_size=2)


def projections(batch: PackedBatch) -> list[Tensor]:
    torch.manual_seed(3)
    return [torch.randn(sum(batch.lengths), HEADS, WIDTH, dtype=torch.float64, requires_grad=True) for _ in range(3)]


def one_by_one(batch: PackedBatch, q: Tensor, k: Tensor, v: Tensor, head_slopes: Tensor | None) -> Tensor:
    """The formula, one pair and one head at a time."""
    outputs = []
    for start, length in zip(batch.starts, batch.lengths, strict=False):
        rows, distance = slice(start, start + length), torch.arange(length)
        heads = []
        for head in range(HEADS):
            scores = q[rows, head] @ k[rows, head].T / WIDTH**0.5
            if head_slopes is not None:
                scores = scores - head_slopes[head] * (distance[:, None] - distance).abs()
            heads.append(scores.softmax(-1) @ v[rows, head])
        outputs.append(torch.stack(heads, dim=1))
    return torch.cat(outputs)


@every_way
@pytest.mark.parametrize("head_slopes", [None, torch.tensor(slopes(HEADS))], ids=["no bias", "alibi"])
def test_each_pair_attends_to_itself(way: str, head_slopes: Tensor | None) -> None:
    """Results and gradients are those of the formula applied pair by pair."""
    batch = packed(*LENGTHS)
    inputs = projections(batch)
    expected = one_by_one(batch, *inputs, head_slopes)

    actual = WAYS[way](batch, head_slopes)(*inputs)

    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)
    for ours, theirs in zip(
        torch.autograd.grad(actual.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=0)


@every_way
def test_first_tokens_alone_attend_as_among_the_others(way: str) -> None:
    """Asking for first tokens gives their rows of the whole."""
    batch = packed(*LENGTHS)
    head_slopes = torch.tensor(slopes(HEADS))
    q, k, v = projections(batch)
    first = batch.cu_seqlens[:-1]
    expected = WAYS[way](batch, head_slopes)(q, k, v)[first]

    actual = WAYS[way](batch, head_slopes)(q[first], k, v, first=True)

    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("way", [SegmentAttention, PaddedAttention])
def test_bf16_queries_meet_a_float32_bias(way: type[SegmentAttention] | type[PaddedAttention]) -> None:
    """Reduced precision loses digits of the inputs, not of the distances: far tokens do not collapse into one."""
    batch = packed(600)
    head_slopes = torch.tensor([2.0**-8] * HEADS)
    q, k, v = projections(batch)
    expected = one_by_one(batch, q * 0, k, v * 100, head_slopes)  # the bias alone decides

    actual = way(batch, head_slopes, torch.bfloat16)(*(x.bfloat16() for x in (q * 0, k, v * 100)))

    assert torch.bfloat16 == actual.dtype
    torch.testing.assert_close(actual.double(), expected, atol=0.1, rtol=0.02)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_padding_stays_small(lengths: list[int]) -> None:
    """Every pair is in one group, and no group pads its shortest pair by more than a quarter and eight tokens."""
    groups = near_equal(tuple(lengths))

    assert list(range(len(lengths))) == sorted(index for group in groups for index in group)
    for group in groups:
        members = [lengths[index] for index in group]
        assert max(members) <= 1.25 * min(members) + 8
