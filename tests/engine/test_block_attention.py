"""Attention in bf16 on CPUs, against the formula in float64."""

import pytest
import torch
from torch import Tensor

from rerank_engine.models import PackedBatch
from rerank_engine.models import block_attention as module
from rerank_engine.models.alibi import slopes
from rerank_engine.models.attention import SegmentAttention, packed_attention
from rerank_engine.models.block_attention import BlockAttention, largest_scores

HEADS, WIDTH = 12, 8
ALIBI = torch.tensor(slopes(HEADS))
BF16 = 2.0**-8


def packed(*lengths: int) -> PackedBatch:
    return PackedBatch.pack([[1] * length for length in lengths], torch.device("cpu"), vocab_size=2)


def projections(tokens: int) -> list[Tensor]:
    torch.manual_seed(11)
    return [torch.randn(tokens, HEADS, WIDTH).bfloat16() for _ in range(3)]


def refuse(*_: Tensor, first: bool = False) -> Tensor:
    raise AssertionError("this was to be computed in blocks")


@pytest.mark.parametrize("scores", [2**20, 2**14, 2**9], ids=["all at once", "heads apart", "rows apart"])
@pytest.mark.parametrize("head_slopes", [None, ALIBI], ids=["no bias", "alibi"])
def test_blocks_give_the_formula(scores: int, head_slopes: Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the scores are cut into blocks, results are those of float64 up to bf16's rounding."""
    monkeypatch.setattr(module, "SCORES", scores)
    batch = packed(40, 40, 33, 97, 1, 260)
    q, k, v = projections(471)

    given = BlockAttention(batch, head_slopes, refuse)(q, k, v)

    exact = SegmentAttention(batch, head_slopes, torch.float64)(q.double(), k.double(), v.double())
    assert (given.double() - exact).abs().max() < 6 * BF16
    assert (given.double() - exact).square().mean().sqrt() < 2 * BF16 * exact.square().mean().sqrt()


def test_far_keys_of_steep_heads_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the bias has made them negligible, keys cost nothing, and the result stays the same."""
    monkeypatch.setattr(module, "SCORES", 2**14)
    batch = packed(1500)
    q, k, v = (x * 0.5 for x in projections(1500))
    attend = BlockAttention(batch, ALIBI, refuse)

    blocks = list(attend._blocks(1, HEADS, 1504, largest_scores(q, k)))
    computed = sum((rows.stop - rows.start) * (keys.stop - keys.start) for _, _, rows, keys in blocks)

    assert computed < 0.75 * HEADS * 1504**2
    exact = SegmentAttention(batch, ALIBI, torch.float64)(q.double(), k.double(), v.double())
    assert (attend(q, k, v).double() - exact).square().mean().sqrt() < 2 * BF16 * exact.square().mean().sqrt()


@pytest.mark.parametrize("wrong", [40.0, float("nan")], ids=["large", "nan"])
def test_scores_that_could_overflow_take_the_other_way(wrong: float) -> None:
    """Without a maximum subtracted, large scores would overflow; they are bounded first."""
    batch = packed(7)
    q, k, v = projections(7)
    q[3] = wrong
    fused = SegmentAttention(batch, ALIBI, torch.bfloat16)

    given = BlockAttention(batch, ALIBI, fused)(q, k, v)

    assert torch.equal(fused(q, k, v).nan_to_num(), given.nan_to_num())


def test_no_score_exceeds_the_bound() -> None:
    """The bound is Cauchy and Schwarz's, per head, with room for bf16's rounding."""
    q, k, _ = projections(50)

    bounds = torch.tensor(largest_scores(q, k))

    largest = torch.einsum("ihd,jhd->hij", q.float(), k.float()).abs().amax((1, 2)) / WIDTH**0.5
    assert (largest <= bounds).all()


def test_bf16_on_a_cpu_attends_in_blocks() -> None:
    """Other precisions keep the fused kernel, and so does a model that is being trained."""
    batch = packed(5, 5)

    assert isinstance(packed_attention(batch, ALIBI, torch.bfloat16), BlockAttention)
    assert isinstance(packed_attention(batch, ALIBI, torch.float32), SegmentAttention)
    q, k, v = (x.requires_grad_() for x in projections(10))
    packed_attention(batch, ALIBI, torch.bfloat16)(q, k, v).sum().backward()
    assert q.grad is not None
