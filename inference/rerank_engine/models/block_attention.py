"""Attention in bf16 on CPUs: batched matrix products over blocks of scores that stay in the cache.

PyTorch's fused kernel spends most of its time in small products and conversions when heads are 32 or 64 wide: this is
1.7 to 2 times as fast on AVX-512 cores with bf16. The softmax is taken apart:

    context = exp(s) [v | 1]           # one product sums both the values and, in its last column, the weights
    out     = context[:d] / context[d]

No maximum is subtracted: `LARGEST` bounds |q · k| / √d, so that neither sums nor weights leave bf16's range, which is
float32's. Rows of zeros under [v | 1] make padding free: they add nothing to either sum.

ALiBi makes far keys irrelevant: exp(-slope · distance) is below what the sum can hold beyond some distance, by the same
bound. Long pairs leave those blocks out, head by head.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from rerank_engine.models.alibi import distance_rows, query_bias
from rerank_engine.models.base import Attention, PackedBatch
from rerank_engine.models.grouping import equal_runs

SCORES = 2**20  # scores computed at once: 2 MB, read again right after
STEP = 32  # lengths are rounded up to it: oneDNN compiles a kernel for every shape
LARGEST = 60.0  # of |q · k| / √d: e^60 times 10^5 keys is 1e31, bf16's largest number 3e38
NEGLIGIBLE = math.log(1e7)  # weights this far below the largest possible sum are left out
Block = tuple[slice, slice, slice, slice]


class BlockAttention:
    """Per run of equal lengths; see the module's docstring. Where it does not hold, `otherwise` attends."""

    def __init__(self, batch: PackedBatch, slopes: Tensor | None, otherwise: Attention) -> None:
        self.otherwise = otherwise
        self.runs = list(equal_runs(batch.lengths))
        self.slopes = None if slopes is None else slopes.tolist()
        self.rows = None  # (H, 2L - 1)
        if slopes is not None:
            self.rows = distance_rows(slopes, _rounded(batch.max_length)).bfloat16()

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """See `Attention`; q, k and v are bf16."""
        trained = torch.is_grad_enabled() and q.requires_grad  # nothing below can be differentiated
        bounds = [] if first or trained else largest_scores(q, k)
        if first or trained or not all(bound <= LARGEST for bound in bounds):  # NaN is not
            return self.otherwise(q, k, v, first=first)
        output, start = torch.empty_like(q), 0
        for length, count in self.runs:
            end = start + count * length
            shape = torch.Size((count, length, *q.shape[1:]))
            self._run(q[start:end], k[start:end], v[start:end], output[start:end], shape, bounds)
            start = end
        return output

    def _run(self, q: Tensor, k: Tensor, v: Tensor, output: Tensor, shape: torch.Size, bounds: list[float]) -> None:
        """Attend within pairs of one length, (G, L, H, d) = `shape`; the result goes into `output`."""
        q, k, v, output = (x.view(shape) for x in (q, k, v, output))
        count, length, heads, width = shape
        whole = _rounded(length)
        # Keys and values in reverse order, as `query_bias` wants them, moved to the end of the padded rows.
        query = _laid_out(q, 0, whole)  # (G, H, L', d)
        key = _laid_out(k.flip(1), whole - length, whole)  # (G, H, L', d)
        value = q.new_zeros(count, heads, whole, width + 1)
        value[:, :, whole - length :, :width] = v.flip(1).transpose(1, 2)
        value[:, :, whole - length :, width] = 1.0
        bias = None if self.rows is None else query_bias(self.rows, whole, whole)  # (H, L', L')
        room = torch.empty(max(SCORES, STEP * whole), dtype=q.dtype)
        for pairs, some, rows, keys in self._blocks(count, heads, whole, bounds):
            asked, given = query[pairs, some, rows], key[pairs, some, keys]
            size = (*asked.shape[:3], given.shape[2])  # (g, h, r, c)
            scores = room[: math.prod(size)].view(-1, *size[2:])
            self._scores(asked, given, None if bias is None else bias[some, rows, keys], scores)
            summed = torch.bmm(scores.exp_(), value[pairs, some, keys].flatten(0, 1)).view(*size[:3], -1)
            context = summed[..., :width] / summed[..., width:]  # (g, h, r, d)
            real = slice(rows.start, min(rows.stop, length))
            output[pairs, real, some] = context[:, :, : real.stop - real.start].transpose(1, 2)

    @staticmethod
    def _scores(asked: Tensor, given: Tensor, bias: Tensor | None, scores: Tensor) -> None:
        """q kᵀ / √d + bias of (g, h, r, d) and (g, h, c, d), written into `scores` (g · h, r, c)."""
        scale = asked.shape[-1] ** -0.5
        q, k = asked.flatten(0, 1), given.flatten(0, 1).transpose(1, 2)
        if bias is None:
            torch.baddbmm(scores, q, k, beta=0, alpha=scale, out=scores)
            return
        added = bias if len(asked) == 1 else bias.repeat(len(asked), 1, 1)  # (g · h, r, c)
        torch.baddbmm(added, q, k, alpha=scale, out=scores)

    def _blocks(self, count: int, heads: int, length: int, bounds: list[float]) -> Iterator[Block]:
        """Slices of pairs, heads, query rows and keys whose scores fit `SCORES`; together, all that matter."""
        everything = slice(0, length)
        if length * length * heads <= SCORES:
            most, pair = SCORES // (length * length * heads), 0
            while pair < count:
                step = 1 << (min(most, count - pair).bit_length() - 1)  # powers of two: few shapes, see STEP
                yield slice(pair, pair + step), slice(0, heads), everything, everything
                pair += step
            return
        for pair in range(count):
            if length * length <= SCORES:
                most = SCORES // (length * length)
                step = next(step for step in range(min(most, heads), 0, -1) if heads % step == 0)
                for head in range(0, heads, step):
                    yield slice(pair, pair + 1), slice(head, head + step), everything, everything
                continue
            for head in range(heads):
                for rows, keys in self._bands(head, length, bounds[head]):
                    yield slice(pair, pair + 1), slice(head, head + 1), rows, keys

    def _bands(self, head: int, length: int, bound: float) -> Iterator[tuple[slice, slice]]:
        """Query rows of one head, and the reversed keys that matter to them."""
        reach = length
        if self.slopes is not None:
            reach = math.ceil((2 * bound + NEGLIGIBLE + math.log(length)) / self.slopes[head])
        step = max(STEP, min(SCORES // min(length, 2 * reach + 512), 512) // STEP * STEP)
        for first in range(0, length, step):
            last = min(first + step, length)
            low, high = max(0, first - reach) // STEP * STEP, min(length, _rounded(last + reach))
            yield slice(first, last), slice(length - high, length - low)


def largest_scores(q: Tensor, k: Tensor) -> list[float]:
    """Per head, what no |q · k| / √d of q, k (T, H, d) exceeds, by Cauchy and Schwarz; NaN where there is one."""
    longest_q, longest_k = (torch.linalg.vector_norm(x, dim=-1).amax(0).float() for x in (q, k))  # (H,)
    bounds: list[float] = (1.01 * longest_q * longest_k * q.shape[-1] ** -0.5).tolist()  # norms are rounded to bf16
    return bounds


def _rounded(length: int) -> int:
    return -(-length // STEP) * STEP


def _laid_out(x: Tensor, offset: int, whole: int) -> Tensor:
    """(G, L, H, d) -> (G, H, whole, d), zeros around rows offset … offset + L - 1."""
    count, length, heads, width = x.shape
    rows = x.new_zeros(count, heads, whole, width)
    rows[:, :, offset : offset + length] = x.transpose(1, 2)
    return rows
