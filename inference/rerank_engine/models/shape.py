"""What config.json says of an encoder, for the families that transformers has classes for."""

from dataclasses import dataclass
from typing import Any, Self

from rerank_engine.errors import CheckpointError
from rerank_engine.models.config import number, require, require_one_label, whole


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of an encoder with exact GELU and a classifier of one label.

    Attributes:
        vocabulary: rows of the token embedding.
        width: of a token's hidden state.
        heads: of each attention; the width is a multiple of it.
        layers: of the encoder.
        feed_forward: inner width of a feed-forward.
        positions: max_position_embeddings.
        eps: of the norms.
    """

    vocabulary: int
    width: int
    heads: int
    layers: int
    feed_forward: int
    positions: int
    eps: float

    @classmethod
    def read(cls, config: dict[str, Any], *, eps: float = 1e-12) -> Self:
        """The shape of a checkpoint; `eps` is the family's layer_norm_eps when the config names none.

        Raises:
            CheckpointError: a value is missing, wrong or not implemented.
        """
        require(config, "hidden_act", "gelu", default="gelu")
        require_one_label(config)
        width, heads = whole(config, "hidden_size"), whole(config, "num_attention_heads")
        if width % heads:
            raise CheckpointError(f"config.json: hidden_size {width} is not a multiple of num_attention_heads {heads}.")
        return cls(
            vocabulary=whole(config, "vocab_size"),
            width=width,
            heads=heads,
            layers=whole(config, "num_hidden_layers"),
            feed_forward=whole(config, "intermediate_size"),
            positions=whole(config, "max_position_embeddings"),
            eps=number(config, "layer_norm_eps", eps),
        )


def is_classifier(config: dict[str, Any], prefix: str) -> bool:
    """Whether `architectures` names the class `prefix`ForSequenceClassification: an encoder alone has no scores."""
    return f"{prefix}ForSequenceClassification" in (config.get("architectures") or ())
