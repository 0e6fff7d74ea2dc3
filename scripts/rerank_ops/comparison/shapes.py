"""Published models as shapes: what config.json says of them, for weights made up at random.

How fast a model is depends on its shape, not on what its weights have learned.
"""

from dataclasses import dataclass
from typing import Any, Literal

TokenizerKind = Literal["bpe", "wordpiece", "unigram"]
StoredAs = Literal["float16", "bfloat16", "float32"]

_ONE_LABEL = {"hidden_act": "gelu", "id2label": {"0": "LABEL_0"}}
_MINI = {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 12}
_BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
_JINA = {
    "architectures": ["JinaBertModel"],
    "feed_forward_type": "geglu",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 8192,
    "model_type": "bert",
    "position_embedding_type": "alibi",
    "type_vocab_size": 2,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A published model, without its weights.

    Attributes:
        model: its id on the hub.
        config: as much of its config.json as the engine reads.
        tokenizer: the kind of its tokenizer.
        stored: the type its weights are published in; of base it is an assumption.
    """

    model: str
    config: dict[str, Any]
    tokenizer: TokenizerKind
    stored: StoredAs


SHAPES: dict[str, Shape] = {
    "tiny": Shape(
        "jinaai/jina-reranker-v1-tiny-en",
        _JINA | _MINI | {"vocab_size": 61056, "num_hidden_layers": 4},
        "bpe",
        "float16",
    ),
    "turbo": Shape(
        "jinaai/jina-reranker-v1-turbo-en",
        _JINA | _MINI | {"vocab_size": 61056, "num_hidden_layers": 6},
        "bpe",
        "bfloat16",
    ),
    "base": Shape("jinaai/jina-reranker-v1-base-en", _JINA | _BASE | {"vocab_size": 30528}, "wordpiece", "float16"),
    "ms-marco-MiniLM-L-6-v2": Shape(
        "cross-encoder/ms-marco-MiniLM-L-6-v2",
        _ONE_LABEL
        | _MINI
        | {
            "architectures": ["BertForSequenceClassification"],
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": 512,
            "model_type": "bert",
            "num_hidden_layers": 6,
            "position_embedding_type": "absolute",
            "type_vocab_size": 2,
            "vocab_size": 30522,
        },
        "wordpiece",
        "float32",
    ),
    "bge-reranker-base": Shape(
        "BAAI/bge-reranker-base",
        _ONE_LABEL
        | _BASE
        | {
            "architectures": ["XLMRobertaForSequenceClassification"],
            "layer_norm_eps": 1e-5,
            "max_position_embeddings": 514,
            "model_type": "xlm-roberta",
            "pad_token_id": 1,
            "position_embedding_type": "absolute",
            "type_vocab_size": 1,
            "vocab_size": 250002,
        },
        "unigram",
        "float32",
    ),
    "mxbai-rerank-base-v1": Shape(
        "mixedbread-ai/mxbai-rerank-base-v1",
        _ONE_LABEL
        | _BASE
        | {
            "architectures": ["DebertaV2ForSequenceClassification"],
            "layer_norm_eps": 1e-7,
            "max_position_embeddings": 512,
            "max_relative_positions": -1,
            "model_type": "deberta-v2",
            "norm_rel_ebd": "layer_norm",
            "pad_token_id": 0,
            "pooler_hidden_act": "gelu",
            "pooler_hidden_size": 768,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "position_buckets": 256,
            "relative_attention": True,
            "share_att_key": True,
            "type_vocab_size": 0,
            "vocab_size": 128100,
        },
        "unigram",
        "float16",
    ),
}
