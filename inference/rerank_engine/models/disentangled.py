"""Disentangled attention (https://arxiv.org/abs/2006.03654): what a token says and how far away it is, apart.

    score[i, j] = (q_i · k_j + q_i · K[δ(i - j)] + k_j · Q[δ(i - j)]) / √(3d)

K and Q are a layer's key and query projections of a table of relative positions. δ maps a distance to a row of it: one
row per distance near by, logarithmic buckets farther away. The last two terms are picked from the products with the
table's rows and become the bias of the fused attention, for a bounded number of query rows at a time.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from rerank_engine.models.base import PackedBatch
from rerank_engine.models.grouping import PaddedGroups, near_equal

BIAS_BYTES = 64 * 2**20


class DisentangledAttention:
    """Each pair attends to itself and to nothing else; built once per forward pass, called by every layer.

    Scores, bias and softmax are float32 at least, whatever the model's precision.

    Attributes:
        rows: the part of the position table that the batch's distances read; project these rows only.
    """

    def __init__(
        self,
        batch: PackedBatch,
        heads: int,
        dtype: torch.dtype,
        *,
        buckets: int,
        farthest: int,
        bias_bytes: int = BIAS_BYTES,
    ) -> None:
        """The table has 2 · `buckets` rows; see `bucket` for `farthest`."""
        self.dtype = torch.promote_types(dtype, torch.float32)
        self.row_bytes = heads * self.dtype.itemsize  # of a query row's bias, per key
        self.bias_bytes = bias_bytes
        # On the CPU, whatever the device: logarithms differ between devices, and with them buckets.
        distances = torch.arange(1 - batch.max_length, batch.max_length)  # (2L - 1,)
        places = (bucket(distances, buckets, farthest) + buckets).clamp(0, 2 * buckets - 1)
        self.rows = slice(int(places[0]), int(places[-1]) + 1)
        self.place_of = (places - self.rows.start).to(batch.token_ids.device, non_blocking=True)  # by distance + L - 1
        self.layout = PaddedGroups(batch, list(self._within_bounds(batch.lengths)))

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, near_k: Tensor, near_q: Tensor, *, first: bool) -> Tensor:
        """Attend.

        Args:
            q: (T, H, d), or (B, H, d) when `first` tokens alone ask.
            k: (T, H, d).
            v: (T, H, d).
            near_k: keys of `rows` of the position table, (N, H, d).
            near_q: queries of them, (N, H, d).
            first: whether only first tokens ask.

        Returns:
            The shape of `q`.
        """
        scale = (3 * q.shape[-1]) ** -0.5
        keys_of, queries_of = ((near.to(self.dtype) * scale).permute(1, 2, 0) for near in (near_k, near_q))  # (H, d, N)
        outputs, start = [], 0
        for positions, padding in self.layout.groups:
            count, length = positions.shape
            key, value = (x[positions].to(self.dtype).transpose(1, 2) for x in (k, v))  # (G, H, L, d)
            if first:
                query = q[self.layout.order[start : start + count]][:, :, None].to(self.dtype)  # (G, H, 1, d)
            else:
                query = q[positions].to(self.dtype).transpose(1, 2)  # (G, H, L, d)
            of_keys = key @ queries_of  # (G, H, L, N)
            blocks = []
            for a, b in self._blocks(count, length, query.shape[2]):
                rows = query[:, :, a:b]  # (G, H, rows, d)
                bias = self._bias(rows @ keys_of, of_keys, a, padding)
                blocks.append(scaled_dot_product_attention(rows, key, value, attn_mask=bias, scale=scale))
            outputs.append(torch.cat(blocks, dim=2).transpose(1, 2).flatten(0, 1))  # (G·rows, H, d)
            start += count
        return torch.cat(outputs)[self.layout.rank if first else self.layout.home].to(q.dtype)

    def _bias(self, of_queries: Tensor, of_keys: Tensor, first_row: int, padding: Tensor | None) -> Tensor:
        """What is added to the scores of query rows from `first_row` on: (G, H, rows, L).

        `of_queries` (G, H, rows, N) and `of_keys` (G, H, L, N) are the products with the table's rows.
        """
        rows, length = of_queries.shape[2], of_keys.shape[2]
        keys = torch.arange(length, device=of_keys.device)
        queries = torch.arange(first_row, first_row + rows, device=of_keys.device)
        place = self.place_of[queries[:, None] - keys + self.place_of.shape[0] // 2]  # (rows, L)
        shape = *of_keys.shape[:2], -1, -1
        bias = of_queries.gather(-1, place.expand(shape))  # (G, H, rows, L)
        bias = bias + of_keys.gather(-1, place.T.expand(shape)).transpose(-1, -2)
        return bias if padding is None else bias.masked_fill(padding[:, None, None, :], -torch.inf)

    def _within_bounds(self, lengths: tuple[int, ...]) -> Iterator[list[int]]:
        """Groups of pairs whose products with the table fit `bias_bytes`, or that are of one pair."""
        for group in near_equal(lengths):
            longest = lengths[group[-1]]
            bytes_per_pair = longest * max(longest, self.place_of.shape[0]) * self.row_bytes
            size = max(1, self.bias_bytes // bytes_per_pair)
            yield from (group[start : start + size] for start in range(0, len(group), size))

    def _blocks(self, count: int, length: int, rows: int) -> Iterator[tuple[int, int]]:
        step = max(1, self.bias_bytes // (count * length * self.row_bytes))
        return ((a, min(a + step, rows)) for a in range(0, rows, step))


def bucket(distance: Tensor, buckets: int, farthest: int) -> Tensor:
    """Bucket of each distance, int64: itself up to ±buckets/2, then logarithmic, ±(buckets - 1) at ±(farthest - 1).

    In float32, as the published models are run; farther away it exceeds ±buckets, for the caller to clamp.
    """
    middle = buckets // 2
    far = distance.abs().clamp(min=middle)
    steps = torch.log(far / middle) / torch.log(torch.tensor((farthest - 1) / middle)) * (middle - 1)
    outer = (torch.ceil(steps) + middle).long() * distance.sign()
    return torch.where(distance.abs() <= middle, distance, outer)
