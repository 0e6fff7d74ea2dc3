"""Which attention a GPU takes: our Triton kernel, else flash-attn, else padded groups with PyTorch's own.

The choice is made at the first call, when queries are there to tell their width, and tried on a small example first.
FlexAttention is not among them: it needs the compiler that our kernel needs, and works for as long at every start.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rerank_engine.models.base import Attention, PackedBatch
from rerank_engine.models.triton_attention import TritonAttention, usable

_AMPERE = 8  # first compute capability that flash-attn supports
_log = logging.getLogger("rerank")


class CudaAttention:
    """The first way that works on this device."""

    def __init__(
        self, batch: PackedBatch, slopes: Tensor | None, dtype: torch.dtype, padded: Callable[..., Attention]
    ) -> None:
        self.batch, self.slopes, self.dtype, self.padded = batch, slopes, dtype, padded
        self.chosen: Attention | None = None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """See `Attention`."""
        if self.chosen is None:
            self.chosen = self._choose(q)
        return self.chosen(q, k, v, first=first)

    def _choose(self, q: Tensor) -> Attention:
        if torch.is_grad_enabled() and q.requires_grad:  # kernels without a backward pass
            return self.padded(self.batch, self.slopes, self.dtype)
        if usable(q.device, q.dtype, q.shape[-1], self.padded):
            return TritonAttention(self.batch, self.slopes)
        if flash_attention(q.device, q.dtype) is not None:
            return FlashAttention(self.batch, self.slopes)
        return self.padded(self.batch, self.slopes, self.dtype)


class FlashAttention:
    """https://github.com/Dao-AILab/flash-attention, whose ALiBi is symmetric where attention is not causal."""

    def __init__(self, batch: PackedBatch, slopes: Tensor | None) -> None:
        self.batch, self.slopes = batch, slopes

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """See `Attention`."""
        attend = flash_attention(q.device, q.dtype)
        assert attend is not None
        if first and self.slopes is not None:  # one query a pair is taken for the last token: ask for all instead
            starts = self.batch.cu_seqlens[:-1].long()
            full = q.new_zeros(k.shape).index_copy(0, starts, q)  # (T, H, d)
            return self(full, k, v)[starts]
        ends, longest = self.batch.cu_seqlens, self.batch.max_length
        asked = torch.arange(len(ends), dtype=torch.int32, device=q.device) if first else ends
        attended: Tensor = attend(q, k, v, asked, ends, 1 if first else longest, longest, alibi_slopes=self.slopes)
        return attended


@lru_cache(maxsize=8)
def flash_attention(device: torch.device, dtype: torch.dtype) -> Callable[..., Any] | None:
    """flash-attn's function for packed sequences, where it is installed and the card and precision are its own."""
    half = dtype in (torch.float16, torch.bfloat16)
    if device.type != "cuda" or not half or torch.cuda.get_device_capability(device)[0] < _AMPERE:
        return None
    try:
        from flash_attn import flash_attn_varlen_func
    except Exception as problem:  # absent, or built for another PyTorch: an ImportError, or worse, of its own
        _log.info("flash-attn is not to be had here: %s", problem)
        return None
    function: Callable[..., Any] = flash_attn_varlen_func
    return function
