"""Attention for GPUs: the choice between the ways, what flash-attn is asked, and all of them on a GPU if any."""

import pytest
import torch
from torch import Tensor

from rerank_engine.models import PackedBatch, cuda_attention, triton_attention
from rerank_engine.models.alibi import slopes
from rerank_engine.models.attention import PaddedAttention, SegmentAttention, packed_attention
from rerank_engine.models.cuda_attention import CudaAttention, FlashAttention
from rerank_engine.models.triton_attention import TritonAttention, blocks_of

LENGTHS = (5, 130, 64, 1)
ALIBI = torch.tensor(slopes(12))
has_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def packed(device: str = "cpu") -> PackedBatch:
    return PackedBatch(torch.zeros(sum(LENGTHS), dtype=torch.int64, device=device), LENGTHS)


def projections(width: int = 32, dtype: torch.dtype = torch.float32, device: str = "cpu") -> list[Tensor]:
    torch.manual_seed(5)
    return [torch.randn(sum(LENGTHS), 12, width).to(dtype).to(device) for _ in range(3)]


def test_every_row_has_one_program() -> None:
    """Whole pairs in blocks of rows, the longest pairs first; one row a pair where first tokens ask."""
    blocks = blocks_of(LENGTHS, first=False)

    rows = sorted(row for _, _, start, _, count in blocks for row in range(start, start + count))
    assert list(range(sum(LENGTHS))) == rows
    assert [130, 130, 130, 64, 5, 1] == [length for _, length, *_ in blocks]
    assert [(5, 130, 1, 0, 1), (135, 64, 2, 0, 1), (0, 5, 0, 0, 1), (199, 1, 3, 0, 1)] == blocks_of(LENGTHS, first=True)


def test_without_a_kernel_padded_groups_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong with the kernel, and with flash-attn absent: the answer is still given."""

    def broken(*_: object, **__: object) -> Tensor:
        raise RuntimeError("ptxas is not here")

    monkeypatch.setattr(TritonAttention, "__call__", broken)
    triton_attention._agrees.cache_clear()
    batch, (q, k, v) = packed(), projections()
    attend = CudaAttention(batch, ALIBI, torch.float32, padded=PaddedAttention)

    given = attend(q, k, v)

    triton_attention._agrees.cache_clear()
    assert isinstance(attend.chosen, PaddedAttention)
    assert torch.allclose(SegmentAttention(batch, ALIBI, torch.float32)(q, k, v), given, atol=1e-5)


def test_a_kernel_that_errs_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first answer is held against the padded one."""
    monkeypatch.setattr(TritonAttention, "__call__", lambda _, q, k, v, first=False: 1.1 * v)
    triton_attention._agrees.cache_clear()

    taken = triton_attention.usable(torch.device("cpu"), torch.float32, 32, PaddedAttention)

    triton_attention._agrees.cache_clear()
    assert not taken


@pytest.mark.parametrize("bias", [None, ALIBI], ids=["no bias", "alibi"])
def test_flash_attn_is_asked_in_its_own_terms(bias: Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cumulative lengths and slopes; first tokens as sequences of one, or among all where their place matters."""
    batch, (q, k, v) = packed(), projections()
    asked = []

    def function(
        q: Tensor, k: Tensor, v: Tensor, ends_q: Tensor, ends_k: Tensor, *most: int, alibi_slopes: Tensor
    ) -> Tensor:
        asked.append((ends_q.tolist(), ends_k.tolist(), most))
        attend = SegmentAttention(batch, alibi_slopes, torch.float32)
        return attend(q, k, v, first=len(q) != len(k))

    monkeypatch.setattr(cuda_attention, "flash_attention", lambda device, dtype: function)
    attend, exact = FlashAttention(batch, bias), SegmentAttention(batch, bias, torch.float32)
    rows = torch.tensor(batch.starts[:-1])

    assert torch.equal(exact(q, k, v), attend(q, k, v))
    assert torch.allclose(exact(q, k, v)[rows], attend(q[rows], k, v, first=True), atol=1e-6)
    ends = list(batch.starts)
    assert (ends, ends, (130, 130)) == asked[0]
    assert asked[1] == (asked[0] if bias is not None else ([0, 1, 2, 3, 4], ends, (1, 130)))


@has_gpu
@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_on_a_gpu_all_ways_agree(dtype: torch.dtype, width: int) -> None:
    """What is chosen there gives what padded groups give."""
    batch, (q, k, v) = packed("cuda"), projections(width, dtype, "cuda")
    bias = ALIBI.cuda()

    given = packed_attention(batch, bias, dtype)(q, k, v)

    expected = PaddedAttention(batch, bias, dtype)(q, k, v)
    assert (given - expected).abs().max() < (1e-4 if dtype == torch.float32 else 0.02)
