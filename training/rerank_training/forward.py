"""The engine's JinaBERT, run for training.

Same modules and weights; only the attention differs: plain batched products, whose backward pass is several times
faster on CPUs than the fused kernel's, at lengths where their (L, L) scores are small.
"""

from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from rerank_engine.models.base import PackedBatch


class TrainingAttention:
    """See `rerank_engine.models.attention.Attention`; one batched product per run of equal lengths."""

    def __init__(self, batch: PackedBatch, slopes: Tensor) -> None:
        self.runs = [(length, len(list(same))) for length, same in groupby(batch.lengths)]
        longest = torch.arange(batch.max_length, device=slopes.device)
        self.bias = -slopes[:, None, None] * (longest[:, None] - longest).abs()  # (H, L, L)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """k, v (T, H, d), q (T, H, d) or (B, H, d) -> q's shape."""
        shape = k.shape[1:]  # (H, d)
        outputs, key_start, query_start = [], 0, 0
        for length, count in self.runs:
            rows = 1 if first else length
            key_end, query_end = key_start + count * length, query_start + count * rows
            query = q[query_start:query_end].reshape(count, rows, *shape).transpose(1, 2)  # (G, H, rows, d)
            key = k[key_start:key_end].reshape(count, length, *shape).permute(0, 2, 3, 1)  # (G, H, d, L)
            value = v[key_start:key_end].reshape(count, length, *shape).transpose(1, 2)  # (G, H, L, d)
            scores = (query @ key) * q.shape[-1] ** -0.5 + self.bias[:, :rows, :length]  # (G, H, rows, L)
            context = scores.softmax(-1).to(value.dtype) @ value  # (G, H, rows, d)
            outputs.append(context.transpose(1, 2).flatten(0, 1))
            key_start, query_start = key_end, query_end
        return torch.cat(outputs)


def training_logits(model: Any, batch: PackedBatch) -> Tensor:
    """Logits (B,) of `batch`, whose pairs should be sorted by length. A model of another family runs its own
    forward.
    """
    if getattr(model, "family", "") != "jina_bert":
        logits: Tensor = model(batch)
        return logits
    encoder = model.bert.encoder
    hidden = model.bert.embeddings(batch.token_ids)  # (T, W)
    attend = TrainingAttention(batch, encoder.slopes)
    *body, last = encoder.layer
    for layer in body:
        hidden = layer(hidden, attend)
    first = last(hidden, attend, batch.cu_seqlens[:-1])  # (B, W)
    found: Tensor = model.classifier(model.bert.pooler(first)).squeeze(-1)
    return found
