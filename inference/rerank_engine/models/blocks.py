"""Parts of a BERT layer that families share, named as in the published state_dicts.

T packed tokens of B pairs, width W, H heads of d = W/H. Blocks take `first` (B,), the rows of first tokens, where only
those are read afterwards: a last layer then computes keys and values of all tokens, and everything else for B rows.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from rerank_engine.models.base import Attention
from rerank_engine.models.layers import LayerNorm, Linear, PreciseLinear


class AttentionBlock(nn.Module):
    """Self-attention, its output projection, residual and norm."""

    def __init__(self, width: int, heads: int, eps: float) -> None:
        super().__init__()
        self.self = Projections(width, heads)
        self.output = ResidualOutput(width, width, eps)

    def forward(self, hidden: Tensor, attend: Attention, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """(T, W) -> what was attended to and the rows that asked, (T or B, W) each: `output` takes both."""
        rows = hidden if first is None else hidden[first]  # (T or B, W)
        q, k, v = self.self(rows, hidden)  # (T or B, H, d), (T, H, d), (T, H, d)
        return attend(q, k, v, first=first is not None).flatten(1), rows


class Projections(nn.Module):
    """Queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(width, width)
        self.key = Linear(width, width)
        self.value = Linear(width, width)

    def forward(self, rows: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of `rows` (N, W), keys and values of `hidden` (T, W): (N, H, d), (T, H, d), (T, H, d)."""
        q, k, v = self.query(rows), self.key(hidden), self.value(hidden)
        return split_heads(q, self.heads), split_heads(k, self.heads), split_heads(v, self.heads)


class ResidualOutput(nn.Module):
    """Output projection of an attention or a feed-forward, residual and norm."""

    def __init__(self, inner: int, width: int, eps: float) -> None:
        super().__init__()
        self.dense = Linear(inner, width)
        self.LayerNorm = LayerNorm(width, eps)

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        """(N, inner), (N, W) -> (N, W)."""
        normalised: Tensor = self.LayerNorm(self.dense(hidden), residual)
        return normalised


class Intermediate(nn.Module):
    """The wide half of a feed-forward: exact (erf) GELU of a linear layer."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense = Linear(width, inner)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, W) -> (N, I)."""
        return gelu(self.dense(hidden))


class Pooler(nn.Module):
    """BERT's: tanh of a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = PreciseLinear(width, width)

    def forward(self, first: Tensor) -> Tensor:
        """(B, W) -> (B, W)."""
        return torch.tanh(self.dense(first))


def split_heads(projected: Tensor, heads: int) -> Tensor:
    """(N, W) -> (N, H, d)."""
    return projected.view(-1, heads, projected.shape[-1] // heads)
