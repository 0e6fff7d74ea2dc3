"""DeBERTa's attention over packed tokens, held to its formula."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from rerank_engine.models import PackedBatch
from rerank_engine.models.disentangled import DisentangledAttention, bucket

HEADS, WIDTH, BUCKETS, FARTHEST = 3, 8, 8, 24
LENGTHS = (5, 5, 1, 40, 7, 33, 5, 1)


def attention(bias_bytes: int) -> tuple[PackedBatch, DisentangledAttention]:
    batch = PackedBatch.pack([[1] * length for length in LENGTHS], torch.device("cpu"), vocab_size=2)
    attend = DisentangledAttention(
        batch, HEADS, torch.float64, buckets=BUCKETS, farthest=FARTHEST, bias_bytes=bias_bytes
    )
    return batch, attend


def inputs() -> list[Tensor]:
    """Queries, keys and values of the tokens; keys and queries of the whole position table."""
    torch.manual_seed(3)
    rows = [sum(LENGTHS)] * 3 + [2 * BUCKETS] * 2
    return [torch.randn(count, HEADS, WIDTH, dtype=torch.float64, requires_grad=True) for count in rows]


def one_by_one(batch: PackedBatch, q: Tensor, k: Tensor, v: Tensor, table_k: Tensor, table_q: Tensor) -> Tensor:
    """The formula, one pair and one head at a time."""
    outputs = []
    for start, length in zip(batch.starts, batch.lengths, strict=False):
        rows, place = slice(start, start + length), torch.arange(length)
        at = (bucket(place[:, None] - place, BUCKETS, FARTHEST) + BUCKETS).clamp(0, 2 * BUCKETS - 1)  # (L, L)
        heads = []
        for head in range(HEADS):
            content = q[rows, head] @ k[rows, head].T
            to_position = torch.einsum("id,ijd->ij", q[rows, head], table_k[at, head])
            from_position = torch.einsum("jd,ijd->ij", k[rows, head], table_q[at, head])
            scores = (content + to_position + from_position) / (3 * WIDTH) ** 0.5
            heads.append(scores.softmax(-1) @ v[rows, head])
        outputs.append(torch.stack(heads, dim=1))
    return torch.cat(outputs)


@pytest.mark.parametrize("bias_bytes", [1, 20_000, 2**26], ids=["a query row at a time", "some", "all at once"])
def test_each_pair_attends_by_content_and_distance(bias_bytes: int) -> None:
    """Results and gradients are those of the formula, however little memory the bias may take."""
    batch, attend = attention(bias_bytes)
    tensors = inputs()
    q, k, v, table_k, table_q = tensors
    expected = one_by_one(batch, *tensors)

    actual = attend(q, k, v, table_k[attend.rows], table_q[attend.rows], first=False)

    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)
    for ours, theirs in zip(
        torch.autograd.grad(actual.square().sum(), tensors),
        torch.autograd.grad(expected.square().sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=0)


@pytest.mark.parametrize("bias_bytes", [1, 2**26])
def test_first_tokens_alone_attend_as_among_the_others(bias_bytes: int) -> None:
    """Asking for first tokens gives their rows of the whole."""
    batch, attend = attention(bias_bytes)
    q, k, v, table_k, table_q = inputs()
    near = table_k[attend.rows], table_q[attend.rows]
    first = batch.cu_seqlens[:-1]
    expected = attend(q, k, v, *near, first=False)[first]

    actual = attend(q[first], k, v, *near, first=True)

    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("longest", "rows"), [(1, 1), (5, 9), (24, 15), (25, 16), (100, 16)])
def test_only_positions_that_occur_are_projected(longest: int, rows: int) -> None:
    """Short pairs read few rows of the table."""
    batch = PackedBatch.pack([[1] * longest, [1]], torch.device("cpu"), vocab_size=2)

    attend = DisentangledAttention(batch, HEADS, torch.float32, buckets=BUCKETS, farthest=FARTHEST)

    assert rows == attend.rows.stop - attend.rows.start


def test_distances_near_by_have_buckets_of_their_own() -> None:
    """Of DeBERTa-v3's 256 buckets half are distances, the others grow up to distance 511."""
    distances = torch.tensor([0, 1, 127, 128, 129, 130, 200, 510, 511])

    buckets = bucket(distances, 256, 512)

    assert [0, 1, 127, 128, 129, 130, 169, 255, 255] == buckets.tolist()
    assert (-buckets).tolist() == bucket(-distances, 256, 512).tolist()


@pytest.mark.parametrize(("buckets", "farthest"), [(256, 512), (32, 64), (6, 20), (7, 100)])
def test_buckets_are_those_of_transformers(buckets: int, farthest: int) -> None:
    """For every distance up to several times the farthest."""
    reference: Callable[..., Any] = pytest.importorskip(
        "transformers.models.deberta_v2.modeling_deberta_v2"
    ).make_log_bucket_position
    distances = torch.arange(-5 * farthest, 5 * farthest)
    expected = reference(distances, buckets, farthest).long()

    assert torch.equal(expected, bucket(distances, buckets, farthest))
