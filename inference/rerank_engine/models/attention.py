"""Attention over packed tokens: each pair attends to itself and to nothing else.

Built once per forward pass from the batch's lengths, then called by every layer. Several ways, one result:

* `BlockAttention` (CPU, bf16): batched products over blocks of scores that stay in the cache.
* `SegmentAttention` (CPU): one fused call per run of equal lengths; no padding, no mask, and the bias is a view.
* `CudaAttention` (CUDA): our Triton kernel or flash-attn, whichever works; see cuda_attention.py.
* `PaddedAttention` (elsewhere, and where those do not work): few launches; neighbours in length share one padded call,
  whose bias and mask are float32 and stand in memory for a block of query rows at a time.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from rerank_engine.models.alibi import distance_rows, query_bias
from rerank_engine.models.base import Attention, PackedBatch
from rerank_engine.models.block_attention import BlockAttention
from rerank_engine.models.cuda_attention import CudaAttention
from rerank_engine.models.grouping import PaddedGroups, equal_runs, near_equal
from rerank_engine.models.products import joined

BIAS_BYTES = 64 * 2**20


def packed_attention(batch: PackedBatch, slopes: Tensor | None, dtype: torch.dtype) -> Attention:
    """The attention for `batch`, whose queries, keys and values will be of `dtype`.

    `slopes` are the ALiBi slopes, float32 (H,); None means no position bias.
    """
    if batch.token_ids.device.type == "cpu":
        fused = SegmentAttention(batch, slopes, dtype)
        return BlockAttention(batch, slopes, otherwise=fused) if dtype == torch.bfloat16 else fused
    if batch.token_ids.is_cuda:
        return CudaAttention(batch, slopes, dtype, padded=PaddedAttention)
    return PaddedAttention(batch, slopes, dtype)


class SegmentAttention:
    """Per run of equal lengths, straight on the packed tensors."""

    def __init__(self, batch: PackedBatch, slopes: Tensor | None, dtype: torch.dtype) -> None:
        self.runs = list(equal_runs(batch.lengths))
        rows = None if slopes is None else distance_rows(slopes, batch.max_length)
        # The fused CPU kernel takes a float32 bias beside bf16 queries, but wants float64 beside float64.
        self.rows = rows.double() if rows is not None and dtype == torch.float64 else rows

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """See `Attention`."""
        return joined(self._pieces(q, k, v, first), len(q))

    def _pieces(self, q: Tensor, k: Tensor, v: Tensor, first: bool) -> Iterator[Tensor]:
        """The result, run by run."""
        shape, key_start, query_start = q.shape[1:], 0, 0
        for length, count in self.runs:
            rows = 1 if first else length
            key_end, query_end = key_start + count * length, query_start + count * rows
            # Reversed keys make the bias a view; softmax does not care in which order they come.
            query = q[query_start:query_end].view(count, rows, *shape).transpose(1, 2)  # (G, H, rows, d)
            key = k[key_start:key_end].view(count, length, *shape).flip(1).transpose(1, 2)  # (G, H, L, d)
            value = v[key_start:key_end].view(count, length, *shape).flip(1).transpose(1, 2)  # (G, H, L, d)
            bias = None if self.rows is None else query_bias(self.rows, length, rows)[None]  # (1, H, rows, L)
            context = scaled_dot_product_attention(query, key, value, attn_mask=bias)  # (G, H, rows, d)
            yield context.transpose(1, 2).flatten(0, 1)  # (G·rows, H, d)
            key_start, query_start = key_end, query_end


class PaddedAttention:
    """Groups of near-equal lengths, padded within the call only.

    Queries, keys and values are raised to float32, and with them scores, bias, mask and softmax, whatever the model's
    precision.
    """

    def __init__(
        self, batch: PackedBatch, slopes: Tensor | None, dtype: torch.dtype, bias_bytes: int = BIAS_BYTES
    ) -> None:
        self.slopes, self.bias_bytes = slopes, bias_bytes
        self.dtype = torch.promote_types(dtype, torch.float32)
        self.layout = PaddedGroups(batch, near_equal(batch.lengths))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """See `Attention`."""
        outputs, start = [], 0
        for positions, padding in self.layout.groups:
            count, length = positions.shape
            key, value = (x[positions].to(self.dtype).transpose(1, 2) for x in (k, v))  # (G, H, L, d)
            if first:
                query = q[self.layout.order[start : start + count]][:, :, None].to(self.dtype)  # (G, H, 1, d)
            else:
                query = q[positions].to(self.dtype).transpose(1, 2)  # (G, H, L, d)
            blocks = [
                scaled_dot_product_attention(query[:, :, a:b], key, value, attn_mask=self._bias(a, b, length, padding))
                for a, b in self._blocks(count, q.shape[1], length, query.shape[2])
            ]
            outputs.append(torch.cat(blocks, dim=2).transpose(1, 2).flatten(0, 1))  # (G·rows, H, d)
            start += count
        return torch.cat(outputs)[self.layout.rank if first else self.layout.home].to(q.dtype)

    def _bias(self, first_row: int, end_row: int, length: int, padding: Tensor | None) -> Tensor | None:
        """(1 or G, 1 or H, rows, L): what is added to the scores of query rows first_row … end_row-1."""
        bias = None
        if self.slopes is not None:
            keys = torch.arange(length, device=self.slopes.device)  # (L,)
            distance = (keys[first_row:end_row, None] - keys).abs()  # (rows, L)
            bias = (-self.slopes[:, None, None] * distance)[None].to(self.dtype)  # (1, H, rows, L)
        if padding is None:
            return bias
        hidden = torch.zeros(padding.shape, dtype=self.dtype, device=padding.device).masked_fill(padding, -torch.inf)
        mask = hidden[:, None, None, :]  # (G, 1, 1, L)
        return mask.expand(-1, -1, end_row - first_row, -1) if bias is None else bias + mask

    def _blocks(self, count: int, heads: int, length: int, rows: int) -> Iterator[tuple[int, int]]:
        bytes_per_row = count * heads * length * self.dtype.itemsize
        step = max(1, self.bias_bytes // bytes_per_row)
        return ((a, min(a + step, rows)) for a in range(0, rows, step))
