"""BERT cross-encoders: cross-encoder/ms-marco-MiniLM-L-6-v2, ms-marco-TinyBERT-L-2-v2 and their like.

`AbsoluteEncoder` with token types 0 for `[CLS] query [SEP]` and 1 for `document [SEP]`, and BERT's pooler:

    logit = W_c tanh(W_p x[first] + b_p) + b_c

Named as in the published state_dict.
"""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from rerank_engine.errors import CheckpointError
from rerank_engine.models.absolute import AbsoluteEncoder
from rerank_engine.models.base import CrossEncoder, PackedBatch
from rerank_engine.models.blocks import Pooler
from rerank_engine.models.config import whole
from rerank_engine.models.layers import PreciseLinear
from rerank_engine.models.shape import Shape, is_classifier


class Bert(CrossEncoder):
    """Encoder, pooler and a classifier of one label."""

    family: ClassVar[str] = "bert"
    ignored_tensors: ClassVar[frozenset[str]] = frozenset({"bert.embeddings.position_ids"})

    def __init__(self, shape: Shape, *, token_types: int) -> None:
        super().__init__()
        self.vocab_size, self.token_types = shape.vocabulary, token_types
        self.window = self.max_positions = shape.positions
        self.bert = PooledEncoder(shape, first_position=0, token_types=token_types)
        self.classifier = PreciseLinear(shape.width, 1)

    @classmethod
    def matches(cls, config: dict[str, Any]) -> bool:
        """BERT with absolute positions and a classifier; with ALiBi it is another family."""
        absolute = config.get("position_embedding_type") in (None, "absolute")
        return config.get("model_type") == "bert" and absolute and is_classifier(config, "Bert")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """See `CrossEncoder.from_config`."""
        return cls(Shape.read(config), token_types=whole(config, "type_vocab_size"))

    def forward(self, batch: PackedBatch) -> Tensor:
        """See `CrossEncoder.forward`.

        Raises:
            CheckpointError: `separator_id` is not set, and the model tells query from document by it.
        """
        types = None
        if self.token_types > 1:
            if self.separator_id < 0:
                raise CheckpointError("This model has token types, but it is not known which token ends a query.")
            types = segments(batch, self.separator_id)
        logits: Tensor = self.classifier(self.bert(batch, types))  # (B, 1)
        return logits.squeeze(-1)


class PooledEncoder(AbsoluteEncoder):
    """The encoder with BERT's pooler behind it, whose weights are stored under the encoder's name."""

    def __init__(self, shape: Shape, *, first_position: int, token_types: int) -> None:
        super().__init__(shape, first_position=first_position, token_types=token_types)
        self.pooler = Pooler(shape.width)

    def forward(self, batch: PackedBatch, segments: Tensor | None = None) -> Tensor:
        """Pooled first tokens: (B, W)."""
        pooled: Tensor = self.pooler(super().forward(batch, segments))
        return pooled


def segments(batch: PackedBatch, separator_id: int) -> Tensor:
    """0 up to and including a pair's first separator, 1 after it: int64 (T,)."""
    separators = (batch.token_ids == separator_id).long()  # (T,)
    passed = separators.cumsum(0) - separators  # (T,), before each token, in the whole batch
    starts = torch.arange(passed.shape[0], device=passed.device) - batch.positions  # (T,), its pair's first token
    return (passed > passed[starts]).long()
