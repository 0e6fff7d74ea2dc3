"""Attention on CUDA by a kernel of our own: packed pairs as they lie, symmetric ALiBi, nothing quadratic in memory.

Far keys of steep heads are left out, as in `block_attention`, by a bound that the device computes for itself.
"""

import logging
import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from rerank_engine.models.base import Attention, PackedBatch

WIDTHS = (16, 32, 64, 128)  # of heads: powers of two, as Triton's blocks are
NEGLIGIBLE = math.log(1e7)
ROWS, KEYS = 64, 64
FEW_ROWS = 16
WARPS = 4
_FURTHEST = 2**30

_log = logging.getLogger("rerank")


class TritonAttention:
    """See the module's docstring."""

    def __init__(self, batch: PackedBatch, slopes: Tensor | None) -> None:
        self.batch, self.slopes = batch, slopes
        self.blocks: dict[bool, Tensor] = {}

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """See `Attention`."""
        from rerank_engine.models.triton_kernels import attend

        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        heads, width = q.shape[1:]
        slopes = q.new_zeros(heads, dtype=torch.float32) if self.slopes is None else self.slopes
        blocks, output = self._blocks(first), torch.empty_like(q)
        attend[(len(blocks), heads)](
            q,
            k,
            v,
            output,
            blocks,
            slopes,
            self._reach(q, k, slopes),
            width**-0.5,
            HEADS=heads,
            WIDTH=width,
            ROWS=FEW_ROWS if first else ROWS,
            KEYS=KEYS,
            PRECISION=precision_of(q.dtype == torch.float32),
            num_warps=WARPS,
        )
        return output

    def _blocks(self, first: bool) -> Tensor:
        """int32 (programs, 5) on the device, see the kernel; made once for all layers."""
        if first not in self.blocks:
            made = blocks_of(self.batch.lengths, first=first)
            device = self.batch.token_ids.device
            self.blocks[first] = torch.tensor(made, dtype=torch.int32).to(device, non_blocking=True)
        return self.blocks[first]

    def _reach(self, q: Tensor, k: Tensor, slopes: Tensor) -> Tensor:
        """int32 (H,): how far keys matter. The device computes it, and the host does not wait."""
        if self.slopes is None or self.batch.max_length <= 4 * KEYS:
            return torch.full_like(slopes, _FURTHEST, dtype=torch.int32)
        longest_q, longest_k = (torch.linalg.vector_norm(x, dim=-1, dtype=torch.float32).amax(0) for x in (q, k))
        bound = longest_q * longest_k * q.shape[-1] ** -0.5  # (H,), by Cauchy and Schwarz
        reach = (2 * bound + NEGLIGIBLE + math.log(self.batch.max_length)) / slopes
        whole: Tensor = reach.nan_to_num(_FURTHEST).clamp(max=_FURTHEST).ceil().to(torch.int32)
        return whole


def blocks_of(lengths: tuple[int, ...], *, first: bool) -> list[tuple[int, int, int, int, int]]:
    """The kernel's programs: (first key, length, row, place, rows) of each, the longest pairs first."""
    blocks, start = [], 0
    for pair, length in enumerate(lengths):
        if first:
            blocks.append((start, length, pair, 0, 1))
        else:
            blocks += [(start, length, start + at, at, min(ROWS, length - at)) for at in range(0, length, ROWS)]
        start += length
    return sorted(blocks, key=lambda block: -block[1])


def precision_of(full: bool) -> str:
    """Of products, in Triton's word: TF32 would cost float32 ten of its 23 bits."""
    return "ieee" if full else "tf32"


def usable(device: torch.device, dtype: torch.dtype, width: int, reference: Callable[..., Attention]) -> bool:
    """Whether the kernel builds and agrees with `reference` on this device; asked once for each kind of call."""
    return width in WIDTHS and _agrees(device, dtype, width, reference)


@lru_cache(maxsize=32)
def _agrees(device: torch.device, dtype: torch.dtype, width: int, reference: Callable[..., Attention]) -> bool:
    batch = PackedBatch(torch.zeros(107, dtype=torch.int64, device=device), (100, 7))
    slopes = torch.tensor([0.5, 0.01], device=device)
    spread = torch.linspace(-3.0, 3.0, 3 * 107 * 2 * width, device=device).mul(37.0).sin()
    q, k, v = spread.view(3, 107, 2, width).to(dtype)
    try:
        given = TritonAttention(batch, slopes)(q, k, v)
        error = (given - reference(batch, slopes, dtype)(q, k, v)).abs().max()
    except Exception as problem:  # no triton, no compiler, a card it does not know: whatever it is, others can do it
        _log.info("the Triton kernel is not to be had here: %s: %s", type(problem).__name__, problem)
        return False
    return bool(error <= (1e-4 if dtype == torch.float32 else 0.03))
