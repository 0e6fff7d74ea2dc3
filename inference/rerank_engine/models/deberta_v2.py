"""DeBERTa-v2 and -v3 cross-encoders: mixedbread-ai/mxbai-rerank-{xsmall,base,large}-v1 and their like.

https://arxiv.org/abs/2111.09543, with disentangled attention over packed tokens. T tokens of B pairs, width W:

    x   = LN(word[ids]);  r = LN(relative positions)
    per layer:
      a = LN(W_o attend(x; r W_k, r W_q) + b_o + x)          # `disentangled`; keys and queries of r by the same weights
      x = LN(W_2 gelu(W_1 a + b_1) + b_2 + a)
    logit = W_c gelu(W_p x[first] + b_p) + b_c

Positions are relative alone: longer pairs than the model was made for can be computed. The last layer computes keys and
values of all tokens, the rest for first tokens only. Named as in the published state_dict.
"""

from typing import Any, ClassVar, Self

from torch import Tensor, nn
from torch.nn.functional import gelu

from rerank_engine.errors import CheckpointError
from rerank_engine.models.base import CrossEncoder, PackedBatch
from rerank_engine.models.blocks import Intermediate, ResidualOutput, split_heads
from rerank_engine.models.config import require, whole
from rerank_engine.models.disentangled import DisentangledAttention
from rerank_engine.models.layers import Embedding, LayerNorm, Linear, PreciseLinear
from rerank_engine.models.shape import Shape, is_classifier

# The published variant, and what transformers assumes where config.json is silent.
VARIANT: tuple[tuple[str, object, object], ...] = (
    ("relative_attention", True, False),
    ("share_att_key", True, False),
    ("norm_rel_ebd", "layer_norm", "none"),
    ("position_biased_input", False, True),
    ("type_vocab_size", 0, 0),
    ("conv_kernel_size", 0, 0),
    ("pooler_hidden_act", "gelu", "gelu"),
)


class DebertaV2(CrossEncoder):
    """Encoder, pooler and a classifier of one label."""

    family: ClassVar[str] = "deberta_v2"
    ignored_tensors: ClassVar[frozenset[str]] = frozenset({"deberta.embeddings.position_ids"})

    def __init__(self, shape: Shape, *, buckets: int, farthest: int) -> None:
        super().__init__()
        self.vocab_size, self.window = shape.vocabulary, shape.positions
        self.deberta = Deberta(shape, buckets=buckets, farthest=farthest)
        self.pooler = ContextPooler(shape.width)
        self.classifier = PreciseLinear(shape.width, 1)

    @classmethod
    def matches(cls, config: dict[str, Any]) -> bool:
        """DeBERTa-v2 (which v3 is, too) with a classifier."""
        return config.get("model_type") == "deberta-v2" and is_classifier(config, "DebertaV2")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """See `CrossEncoder.from_config`."""
        shape = Shape.read(config, eps=1e-7)
        for name, supported, silence in VARIANT:
            require(config, name, supported, default=silence)
        require(config, "embedding_size", shape.width, default=shape.width)
        require(config, "pooler_hidden_size", shape.width, default=shape.width)
        require(config, "attention_head_size", shape.width // shape.heads, default=shape.width // shape.heads)
        kinds = config.get("pos_att_type") or []
        if sorted(kinds.split("|") if isinstance(kinds, str) else kinds) != ["c2p", "p2c"]:
            raise CheckpointError(f"config.json: pos_att_type is {kinds!r}. Only c2p with p2c is implemented.")
        buckets, farthest = whole(config, "position_buckets"), config.get("max_relative_positions", -1)
        if not isinstance(farthest, int) or farthest < 1:
            farthest = shape.positions
        if farthest <= buckets // 2 + 1:
            raise CheckpointError(
                f"config.json: {buckets} position_buckets for distances up to {farthest}: half of them must be below."
            )
        return cls(shape, buckets=buckets, farthest=farthest)

    def forward(self, batch: PackedBatch) -> Tensor:
        """See `CrossEncoder.forward`."""
        logits: Tensor = self.classifier(self.pooler(self.deberta(batch)))  # (B, 1)
        return logits.squeeze(-1)


class Deberta(nn.Module):
    """Embeddings and layers."""

    def __init__(self, shape: Shape, *, buckets: int, farthest: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape)
        self.encoder = Encoder(shape, buckets=buckets, farthest=farthest)

    def forward(self, batch: PackedBatch) -> Tensor:
        """First tokens after the last layer: (B, W)."""
        first: Tensor = self.encoder(self.embeddings(batch.token_ids), batch)
        return first


class Embeddings(nn.Module):
    """Words, normalised: positions come in with the attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.word_embeddings = Embedding(shape.vocabulary, shape.width)
        self.LayerNorm = LayerNorm(shape.width, shape.eps)

    def forward(self, token_ids: Tensor) -> Tensor:
        """(T,) -> (T, W)."""
        normalised: Tensor = self.LayerNorm(self.word_embeddings(token_ids))
        return normalised


class Encoder(nn.Module):
    """The layers, and the table of relative positions that all of them share."""

    def __init__(self, shape: Shape, *, buckets: int, farthest: int) -> None:
        super().__init__()
        self.heads, self.buckets, self.farthest = shape.heads, buckets, farthest
        self.layer = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.rel_embeddings = Embedding(2 * buckets, shape.width)
        self.LayerNorm = LayerNorm(shape.width, shape.eps)

    def forward(self, hidden: Tensor, batch: PackedBatch) -> Tensor:
        """(T, W) -> (B, W): the first token of each pair after the last layer."""
        attend = DisentangledAttention(batch, self.heads, hidden.dtype, buckets=self.buckets, farthest=self.farthest)
        near = self.LayerNorm(self.rel_embeddings.weight[attend.rows])  # (N, W)
        *body, last = self.layer
        for layer in body:
            hidden = layer(hidden, near, attend)  # (T, W)
        first: Tensor = last(hidden, near, attend, batch.cu_seqlens[:-1])  # (B, W)
        return first


class Layer(nn.Module):
    """Attention and feed-forward, each followed by residual and norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = AttentionBlock(shape)
        self.intermediate = Intermediate(shape.width, shape.feed_forward)
        self.output = ResidualOutput(shape.feed_forward, shape.width, shape.eps)

    def forward(
        self, hidden: Tensor, near: Tensor, attend: DisentangledAttention, first: Tensor | None = None
    ) -> Tensor:
        """(T, W) and relative positions (N, W) -> (T, W), or (B, W) for the rows `first` (B,) alone."""
        attended = self.attention(hidden, near, attend, first)  # (T or B, W)
        transformed: Tensor = self.output(self.intermediate(attended), attended)
        return transformed


class AttentionBlock(nn.Module):
    """Disentangled self-attention, its output projection, residual and norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self = Projections(shape)
        self.output = ResidualOutput(shape.width, shape.width, shape.eps)

    def forward(self, hidden: Tensor, near: Tensor, attend: DisentangledAttention, first: Tensor | None) -> Tensor:
        """(T, W), (N, W) -> (T or B, W)."""
        rows = hidden if first is None else hidden[first]  # (T or B, W)
        q, k, v = self.self.queries(rows), self.self.keys(hidden), self.self.values(hidden)  # (T or B, H, d), (T, H, d)
        near_k, near_q = self.self.keys(near), self.self.queries(near)  # (N, H, d)
        context = attend(q, k, v, near_k, near_q, first=first is not None).flatten(1)  # (T or B, W)
        attended: Tensor = self.output(context, rows)
        return attended


class Projections(nn.Module):
    """Queries, keys and values, of tokens and of relative positions alike."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query_proj = Linear(shape.width, shape.width)
        self.key_proj = Linear(shape.width, shape.width)
        self.value_proj = Linear(shape.width, shape.width)

    def queries(self, rows: Tensor) -> Tensor:
        """(N, W) -> (N, H, d)."""
        return split_heads(self.query_proj(rows), self.heads)

    def keys(self, rows: Tensor) -> Tensor:
        """(N, W) -> (N, H, d)."""
        return split_heads(self.key_proj(rows), self.heads)

    def values(self, rows: Tensor) -> Tensor:
        """(N, W) -> (N, H, d)."""
        return split_heads(self.value_proj(rows), self.heads)


class ContextPooler(nn.Module):
    """GELU of a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = PreciseLinear(width, width)

    def forward(self, first: Tensor) -> Tensor:
        """(B, W) -> (B, W)."""
        return gelu(self.dense(first))
