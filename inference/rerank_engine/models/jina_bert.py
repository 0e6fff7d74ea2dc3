"""JinaBERT cross-encoder: BERT with symmetric ALiBi and gated feed-forward layers.

The architecture of jinaai/jina-reranker-v1-{tiny,turbo,base}-en (https://arxiv.org/abs/2310.19923), over packed tokens.
T tokens of B pairs, width W, H heads of d = W/H, feed-forward width I:

    x   = LN(word[ids] + type[0])                            # token types are always 0
    per layer (post-norm):
      a = LN(W_o attend(x) + b_o + x)
      x = LN(W_2 (gelu(g[:, :I]) · g[:, I:]) + b_2 + a)      # g = a W_gᵀ, exact (erf) GELU
    logit = W_c tanh(W_p x[first] + b_p) + b_c

Only first tokens are read in the end: the last layer computes keys and values of all tokens, the rest for B rows.
The attributes of the classes below are named as in the published state_dict.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from rerank_engine.errors import CheckpointError
from rerank_engine.models.alibi import slopes
from rerank_engine.models.attention import packed_attention
from rerank_engine.models.base import Attention, CrossEncoder, PackedBatch
from rerank_engine.models.blocks import AttentionBlock, Pooler
from rerank_engine.models.config import number, require, require_one_label, whole
from rerank_engine.models.layers import Embedding, LayerNorm, Linear, PreciseLinear
from rerank_engine.models.products import by_rows

# (vocabulary, width, heads, layers) of the published checkpoints whose interpolated slopes are halved: tiny and turbo.
HALVED_TAIL = {(61056, 384, 12, 4), (61056, 384, 12, 6)}


@dataclass(frozen=True, slots=True)
class Shape:
    """What config.json says, in our words."""

    vocabulary: int
    token_types: int
    width: int
    heads: int
    layers: int
    feed_forward: int
    window: int
    eps: float
    alibi_tail_scale: float

    @classmethod
    def read(cls, config: dict[str, Any]) -> Self:
        """The shape of a checkpoint. Raises CheckpointError where a value is missing, wrong or not implemented."""
        require(config, "feed_forward_type", "geglu")
        require(config, "hidden_act", "gelu", default="gelu")
        require_one_label(config)
        vocabulary, width = whole(config, "vocab_size"), whole(config, "hidden_size")
        heads, layers = whole(config, "num_attention_heads"), whole(config, "num_hidden_layers")
        if width % heads:
            raise CheckpointError(f"config.json: hidden_size {width} is not a multiple of num_attention_heads {heads}.")
        usual_scale = 0.5 if (vocabulary, width, heads, layers) in HALVED_TAIL else 1.0
        return cls(
            vocabulary=vocabulary,
            token_types=whole(config, "type_vocab_size"),
            width=width,
            heads=heads,
            layers=layers,
            feed_forward=whole(config, "intermediate_size"),
            window=whole(config, "max_position_embeddings"),
            eps=number(config, "layer_norm_eps", 1e-12),
            alibi_tail_scale=number(config, "alibi_tail_scale", usual_scale),
        )


class JinaBert(CrossEncoder):
    """Encoder and a classifier of one label."""

    family: ClassVar[str] = "jina_bert"

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.vocab_size, self.window = shape.vocabulary, shape.window
        self.bert = Bert(shape)
        self.classifier = PreciseLinear(shape.width, 1)

    @classmethod
    def matches(cls, config: dict[str, Any]) -> bool:
        """BERT with ALiBi is JinaBERT; the published configs say architectures ["JinaBertModel"] and no num_labels."""
        return config.get("model_type") == "bert" and config.get("position_embedding_type") == "alibi"

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """See `CrossEncoder.from_config`."""
        return cls(Shape.read(config))

    def forward(self, batch: PackedBatch) -> Tensor:
        """See `CrossEncoder.forward`."""
        logits: Tensor = self.classifier(self.bert(batch))  # (B, 1)
        return logits.squeeze(-1)


class Bert(nn.Module):
    """Embeddings, layers and pooler."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape)
        self.encoder = Encoder(shape)
        self.pooler = Pooler(shape.width)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Pooled first tokens: (B, W)."""
        pooled: Tensor = self.pooler(self.encoder(self.embeddings(batch.token_ids), batch))
        return pooled


class Embeddings(nn.Module):
    """Word embedding plus the embedding of token type 0; there is no position embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.word_embeddings = Embedding(shape.vocabulary, shape.width)
        self.token_type_embeddings = Embedding(shape.token_types, shape.width)
        self.LayerNorm = LayerNorm(shape.width, shape.eps)

    def forward(self, token_ids: Tensor) -> Tensor:
        """(T,) -> (T, W)."""
        return by_rows(self._embedded, token_ids[:, None])

    def _embedded(self, tokens: Tensor) -> Tensor:
        """(N, 1) -> (N, W)."""
        words = self.word_embeddings(tokens[:, 0])  # (N, W)
        normalised: Tensor = self.LayerNorm(words, self.token_type_embeddings.weight[0])
        return normalised


class Encoder(nn.Module):
    """The layers, and the ALiBi slopes that all of them share."""

    slopes: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        # On the CPU by name: checkpoints do not carry it, so it must be real even while the model is built on meta.
        values = torch.tensor(slopes(shape.heads, shape.alibi_tail_scale), dtype=torch.float32, device="cpu")  # (H,)
        self.register_buffer("slopes", values, persistent=False)

    def forward(self, hidden: Tensor, batch: PackedBatch) -> Tensor:
        """(T, W) -> (B, W): the first token of each pair after the last layer."""
        attend = packed_attention(batch, self.slopes, hidden.dtype)
        *body, last = self.layer
        for layer in body:
            hidden = layer(hidden, attend)  # (T, W)
        first: Tensor = last(hidden, attend, batch.cu_seqlens[:-1])  # (B, W)
        return first


class Layer(nn.Module):
    """Attention and gated feed-forward, each followed by residual and norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = AttentionBlock(shape.width, shape.heads, shape.eps)
        self.mlp = GatedMlp(shape)

    def forward(self, hidden: Tensor, attend: Attention, first: Tensor | None = None) -> Tensor:
        """(T, W) -> (T, W), or (B, W) for the rows `first` (B,) alone: the first token of each pair."""
        return by_rows(self._transform, *self.attention(hidden, attend, first))

    def _transform(self, context: Tensor, rows: Tensor) -> Tensor:
        transformed: Tensor = self.mlp(self.attention.output(context, rows))
        return transformed


class GatedMlp(nn.Module):
    """GEGLU: the first half of `gated_layers` goes through GELU and gates the second."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gated_layers = Linear(shape.width, 2 * shape.feed_forward, bias=False)
        self.wo = Linear(shape.feed_forward, shape.width)
        self.layernorm = LayerNorm(shape.width, shape.eps)

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, W) -> (N, W)."""
        gate, value = self.gated_layers(hidden).chunk(2, dim=-1)  # (N, I) each
        normalised: Tensor = self.layernorm(self.wo(gelu(gate) * value), hidden)
        return normalised
