"""The encoder of BERT and RoBERTa: absolute positions, post-norm layers, GELU feed-forward, over packed tokens.

https://arxiv.org/abs/1810.04805. T tokens of B pairs, width W, H heads of d = W/H, feed-forward width I:

    x   = LN(word[ids] + position[place] + type[segment])
    per layer:
      a = LN(W_o attend(x) + b_o + x)
      x = LN(W_2 gelu(W_1 a + b_1) + b_2 + a)

The last layer computes keys and values of all tokens, the rest for first tokens only.
"""

from torch import Tensor, nn

from rerank_engine.models.attention import packed_attention
from rerank_engine.models.base import Attention, PackedBatch
from rerank_engine.models.blocks import AttentionBlock, Intermediate, ResidualOutput
from rerank_engine.models.layers import Embedding, LayerNorm
from rerank_engine.models.products import by_rows
from rerank_engine.models.shape import Shape


class AbsoluteEncoder(nn.Module):
    """Embeddings and layers.

    Args:
        first_position: row of the position table that a pair's first token takes.
        token_types: rows of the token type table.
    """

    def __init__(self, shape: Shape, *, first_position: int, token_types: int) -> None:
        super().__init__()
        self.first_position = first_position
        self.embeddings = Embeddings(shape, token_types)
        self.encoder = Encoder(shape)

    def forward(self, batch: PackedBatch, segments: Tensor | None = None) -> Tensor:
        """First tokens after the last layer: (B, W). Without `segments`, int64 (T,), all tokens are of type 0."""
        hidden = self.embeddings(batch.token_ids, batch.positions + self.first_position, segments)  # (T, W)
        first: Tensor = self.encoder(hidden, batch)
        return first


class Embeddings(nn.Module):
    """Word, position and token type, summed and normalised."""

    def __init__(self, shape: Shape, token_types: int) -> None:
        super().__init__()
        self.word_embeddings = Embedding(shape.vocabulary, shape.width)
        self.position_embeddings = Embedding(shape.positions, shape.width)
        self.token_type_embeddings = Embedding(token_types, shape.width)
        self.LayerNorm = LayerNorm(shape.width, shape.eps)

    def forward(self, token_ids: Tensor, positions: Tensor, segments: Tensor | None) -> Tensor:
        """(T,), (T,), (T,) or None -> (T, W)."""
        types = self.token_type_embeddings.weight[0] if segments is None else self.token_type_embeddings(segments)
        places = self.position_embeddings(positions).to(self.LayerNorm.weight.dtype) + types  # (T, W)
        normalised: Tensor = self.LayerNorm(self.word_embeddings(token_ids), places)
        return normalised


class Encoder(nn.Module):
    """The layers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, hidden: Tensor, batch: PackedBatch) -> Tensor:
        """(T, W) -> (B, W): the first token of each pair after the last layer."""
        attend = packed_attention(batch, None, hidden.dtype)
        *body, last = self.layer
        for layer in body:
            hidden = layer(hidden, attend)  # (T, W)
        first: Tensor = last(hidden, attend, batch.cu_seqlens[:-1])  # (B, W)
        return first


class Layer(nn.Module):
    """Attention and feed-forward, each followed by residual and norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = AttentionBlock(shape.width, shape.heads, shape.eps)
        self.intermediate = Intermediate(shape.width, shape.feed_forward)
        self.output = ResidualOutput(shape.feed_forward, shape.width, shape.eps)

    def forward(self, hidden: Tensor, attend: Attention, first: Tensor | None = None) -> Tensor:
        """(T, W) -> (T, W), or (B, W) for the rows `first` (B,) alone."""
        return by_rows(self._transform, *self.attention(hidden, attend, first))

    def _transform(self, context: Tensor, rows: Tensor) -> Tensor:
        attended = self.attention.output(context, rows)  # (N, W)
        transformed: Tensor = self.output(self.intermediate(attended), attended)
        return transformed
