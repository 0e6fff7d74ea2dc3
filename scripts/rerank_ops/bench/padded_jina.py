"""JinaBERT as its own remote code computes it: padded batches, one bias for every query, key and head.

Written anew from the formulas (see `rerank_engine.models.jina_bert`), as a peer to be timed and to be exported to ONNX.
Kinder than the original in two respects: bias and mask are added up once a batch instead of once a layer, and the bias
is made for the batch's own length.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, layer_norm, linear, scaled_dot_product_attention

from rerank_engine.models.alibi import slopes
from rerank_engine.models.jina_bert import Shape

HIDDEN = -1e9  # added to the score of a padded key


class PaddedJina(nn.Module):
    """The model over padded batches.

    Args:
        config: of the checkpoint.
        tensors: its state_dict; taken as float32.
        fused: whether attention is PyTorch's fused kernel (to run) or spelt out (to be exported).
    """

    slopes: Tensor

    def __init__(self, config: dict[str, Any], tensors: dict[str, Tensor], *, fused: bool = True) -> None:
        super().__init__()
        self.shape, self.fused = Shape.read(config), fused
        self.names = {name: name.replace(".", "_") for name in tensors}
        for name, tensor in tensors.items():
            self.register_buffer(self.names[name], tensor.float())
        values = torch.tensor(slopes(self.shape.heads, self.shape.alibi_tail_scale))  # (H,)
        self.register_buffer("slopes", values)

    @classmethod
    def load(cls, folder: Path, *, fused: bool = True) -> "PaddedJina":
        """The checkpoint in `folder`."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(config, load_file(folder / "model.safetensors"), fused=fused).eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Both int64 (B, L) -> logits (B, 1)."""
        words = embedding(input_ids, self._weight("bert.embeddings.word_embeddings"))  # (B, L, W)
        types = self._weight("bert.embeddings.token_type_embeddings")[0]
        hidden = self._norm("bert.embeddings.LayerNorm", words + types)
        place = torch.arange(input_ids.shape[1], device=input_ids.device)
        distance = (place[:, None] - place).abs().float()  # (L, L)
        bias = -self.slopes[:, None, None] * distance + (1.0 - attention_mask[:, None, None].float()) * HIDDEN
        for layer in range(self.shape.layers):  # bias (B, H, L, L)
            hidden = self._layer(f"bert.encoder.layer.{layer}", hidden, bias)
        pooled = torch.tanh(self._linear("bert.pooler.dense", hidden[:, 0]))
        return self._linear("classifier", pooled)

    def _layer(self, name: str, hidden: Tensor, bias: Tensor) -> Tensor:
        parts = (self._linear(f"{name}.attention.self.{part}", hidden) for part in ("query", "key", "value"))
        q, k, v = (x.view(*x.shape[:2], self.shape.heads, -1).transpose(1, 2) for x in parts)  # (B, H, L, d)
        if self.fused:
            context = scaled_dot_product_attention(q, k, v, attn_mask=bias)
        else:
            scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias  # (B, H, L, L)
            context = scores.softmax(-1) @ v
        projected = self._linear(f"{name}.attention.output.dense", context.transpose(1, 2).flatten(2))
        attended = self._norm(f"{name}.attention.output.LayerNorm", projected + hidden)
        gate, value = linear(attended, self._weight(f"{name}.mlp.gated_layers")).chunk(2, dim=-1)  # (B, L, I)
        return self._norm(f"{name}.mlp.layernorm", self._linear(f"{name}.mlp.wo", gelu(gate) * value) + attended)

    def _weight(self, name: str) -> Tensor:
        tensor: Tensor = getattr(self, self.names[f"{name}.weight"])
        return tensor

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x, self._weight(name), getattr(self, self.names[f"{name}.bias"]))

    def _norm(self, name: str, x: Tensor) -> Tensor:
        bias = getattr(self, self.names[f"{name}.bias"])
        return layer_norm(x, (self.shape.width,), self._weight(name), bias, self.shape.eps)
