"""RoBERTa cross-encoders: BAAI/bge-reranker-{base,large,v2-m3} (XLM-RoBERTa) and their like.

https://arxiv.org/abs/1911.02116: `AbsoluteEncoder` with positions that begin at pad_token_id + 1, token types always 0,
and RoBERTa's classification head on `<s>`:

    logit = W_2 tanh(W_1 x[first] + b_1) + b_2

RoBERTa, XLM-RoBERTa and CamemBERT differ in their tokenizers only. Named as in the published state_dict.
"""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from rerank_engine.errors import CheckpointError
from rerank_engine.models.absolute import AbsoluteEncoder
from rerank_engine.models.base import CrossEncoder, PackedBatch
from rerank_engine.models.config import whole
from rerank_engine.models.layers import PreciseLinear
from rerank_engine.models.shape import Shape, is_classifier

CLASSES = {"xlm-roberta": "XLMRoberta", "roberta": "Roberta", "camembert": "Camembert"}
PAD_ID = 1  # of every published vocabulary; position rows up to it are never read


class XlmRoberta(CrossEncoder):
    """Encoder and a classification head of one label."""

    family: ClassVar[str] = "xlm_roberta"
    ignored_tensors: ClassVar[frozenset[str]] = frozenset({"roberta.embeddings.position_ids"})

    def __init__(self, shape: Shape, *, first_position: int, token_types: int) -> None:
        super().__init__()
        self.vocab_size = shape.vocabulary
        self.window = self.max_positions = shape.positions - first_position
        self.roberta = AbsoluteEncoder(shape, first_position=first_position, token_types=token_types)
        self.classifier = Head(shape.width)

    @classmethod
    def matches(cls, config: dict[str, Any]) -> bool:
        """A RoBERTa by model_type, absolute positions, with a classifier."""
        prefix = CLASSES.get(str(config.get("model_type")))
        absolute = config.get("position_embedding_type") in (None, "absolute")
        return prefix is not None and absolute and is_classifier(config, prefix)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """See `CrossEncoder.from_config`."""
        shape, pad_id = Shape.read(config), config.get("pad_token_id", PAD_ID)
        if not isinstance(pad_id, int) or not 0 <= pad_id < shape.positions - 1:
            raise CheckpointError(
                f"config.json: pad_token_id is {pad_id!r}. The positions begin after it: 0 to {shape.positions - 2}."
            )
        return cls(shape, first_position=pad_id + 1, token_types=whole(config, "type_vocab_size"))

    def forward(self, batch: PackedBatch) -> Tensor:
        """See `CrossEncoder.forward`."""
        logits: Tensor = self.classifier(self.roberta(batch))  # (B, 1)
        return logits.squeeze(-1)


class Head(nn.Module):
    """RoBERTa's classification head: a linear layer, tanh, the label."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = PreciseLinear(width, width)
        self.out_proj = PreciseLinear(width, 1)

    def forward(self, first: Tensor) -> Tensor:
        """(B, W) -> (B, 1)."""
        logits: Tensor = self.out_proj(torch.tanh(self.dense(first)))
        return logits
