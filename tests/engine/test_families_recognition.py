"""config.json as published decides which family a checkpoint is, and which are refused."""

from typing import Any

import pytest
import torch

from rerank_engine.errors import CheckpointError
from rerank_engine.models import CrossEncoder, recognise

ONE_LABEL = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
BERT = ONE_LABEL | {
    "architectures": ["BertForSequenceClassification"],
    "hidden_act": "gelu",
    "hidden_size": 384,
    "intermediate_size": 1536,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
    "vocab_size": 30522,
}
XLM_ROBERTA = ONE_LABEL | {
    "architectures": ["XLMRobertaForSequenceClassification"],
    "hidden_act": "gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "model_type": "xlm-roberta",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "position_embedding_type": "absolute",
    "type_vocab_size": 1,
    "vocab_size": 250002,
}
DEBERTA = ONE_LABEL | {
    "architectures": ["DebertaV2ForSequenceClassification"],
    "hidden_act": "gelu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-07,
    "max_position_embeddings": 512,
    "max_relative_positions": -1,
    "model_type": "deberta-v2",
    "norm_rel_ebd": "layer_norm",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "pooler_dropout": 0,
    "pooler_hidden_act": "gelu",
    "pooler_hidden_size": 768,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "position_buckets": 256,
    "relative_attention": True,
    "share_att_key": True,
    "type_vocab_size": 0,
    "vocab_size": 128100,
}


def model_of(config: dict[str, Any]) -> CrossEncoder:
    with torch.device("meta"):
        return recognise(config).from_config(config)


def parameters(model: CrossEncoder) -> int:
    return sum(tensor.numel() for tensor in model.state_dict().values())


@pytest.mark.parametrize(
    ("config", "family", "tensors", "count", "window", "max_positions"),
    [
        pytest.param(BERT, "bert", 105, 22_713_601, 512, 512, id="ms-marco-MiniLM-L-6-v2"),
        # 278,044,931 on the hub: the 514 position_ids that are stored with it are counted there.
        pytest.param(XLM_ROBERTA, "xlm_roberta", 201, 278_044_931 - 514, 512, 512, id="bge-reranker-base"),
        pytest.param(
            XLM_ROBERTA
            | {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24}
            | {"max_position_embeddings": 8194},
            "xlm_roberta",
            393,
            567_755_777,
            8192,
            8192,
            id="bge-reranker-v2-m3",
        ),
        pytest.param(DEBERTA, "deberta_v2", 202, 184_422_913, 512, None, id="mxbai-rerank-base-v1"),
    ],
)
def test_published_checkpoints_are_recognised(
    config: dict[str, Any], family: str, tensors: int, count: int, window: int, max_positions: int | None
) -> None:
    """By what their config.json says; the number of weights is the published one."""
    model = model_of(config)

    assert (family, count) == (model.family, parameters(model))
    assert (window, max_positions) == (model.window, model.max_positions)
    assert tensors == len(model.state_dict())


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (
            BERT,
            {
                "bert.embeddings.position_embeddings.weight",
                "bert.embeddings.token_type_embeddings.weight",
                "bert.encoder.layer.5.attention.self.query.bias",
                "bert.encoder.layer.5.attention.output.LayerNorm.weight",
                "bert.encoder.layer.5.intermediate.dense.weight",
                "bert.encoder.layer.5.output.LayerNorm.bias",
                "bert.pooler.dense.bias",
                "classifier.weight",
            },
        ),
        (
            XLM_ROBERTA,
            {
                "roberta.embeddings.position_embeddings.weight",
                "roberta.encoder.layer.11.output.dense.weight",
                "classifier.dense.weight",
                "classifier.out_proj.bias",
            },
        ),
        (
            DEBERTA,
            {
                "deberta.embeddings.word_embeddings.weight",
                "deberta.encoder.LayerNorm.weight",
                "deberta.encoder.rel_embeddings.weight",
                "deberta.encoder.layer.11.attention.self.query_proj.weight",
                "deberta.encoder.layer.11.attention.self.value_proj.bias",
                "deberta.encoder.layer.11.intermediate.dense.bias",
                "pooler.dense.weight",
                "classifier.bias",
            },
        ),
    ],
    ids=["bert", "xlm-roberta", "deberta-v2"],
)
def test_tensors_are_named_as_published(config: dict[str, Any], names: set[str]) -> None:
    """So that a checkpoint is read as it is."""
    assert names <= set(model_of(config).state_dict())


@pytest.mark.parametrize("prefix", ["Roberta", "Camembert"])
def test_the_other_robertas_ride_along(prefix: str) -> None:
    """Their encoder and head are the same."""
    config = XLM_ROBERTA | {
        "model_type": prefix.lower(),
        "architectures": [f"{prefix}ForSequenceClassification"],
        "vocab_size": 50265,
    }

    assert "xlm_roberta" == recognise(config).family


@pytest.mark.parametrize(
    "config",
    [
        BERT | {"architectures": ["BertModel"]},
        BERT | {"architectures": ["BertForMaskedLM"]},
        BERT | {"architectures": None},
        BERT | {"position_embedding_type": "relative_key"},
        XLM_ROBERTA | {"architectures": ["XLMRobertaModel"]},
        DEBERTA | {"architectures": ["DebertaV2ForTokenClassification"]},
        DEBERTA | {"model_type": "deberta"},
        {"model_type": "qwen2", "architectures": ["Qwen2ForSequenceClassification"]},
        {},
    ],
)
def test_what_has_no_known_classifier_is_refused(config: dict[str, Any]) -> None:
    """An embedding model has no relevance to give; the refusal says what config.json says and what is known."""
    with pytest.raises(CheckpointError, match=r"no known model family.*architectures") as caught:
        recognise(config)

    assert "jina_bert, bert, xlm_roberta, deberta_v2" in str(caught.value.tip)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BERT | {"id2label": {"0": "contradiction", "1": "entailment", "2": "neutral"}}, "classifier has 3 labels"),
        (XLM_ROBERTA | {"num_labels": 2}, "classifier has 2 labels"),
        (DEBERTA | {"id2label": {"0": "no", "1": "yes"}}, "classifier has 2 labels"),
        (BERT | {"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'"),
        (BERT | {"num_attention_heads": 7}, "not a multiple of num_attention_heads 7"),
        (XLM_ROBERTA | {"pad_token_id": None}, "pad_token_id is None"),
        (XLM_ROBERTA | {"pad_token_id": 513}, "0 to 512"),
        (DEBERTA | {"share_att_key": False}, "share_att_key is False"),
        (DEBERTA | {"relative_attention": False}, "relative_attention is False"),
        (DEBERTA | {"norm_rel_ebd": "none"}, "norm_rel_ebd is 'none'"),
        (DEBERTA | {"position_biased_input": True}, "position_biased_input is True"),
        (DEBERTA | {"type_vocab_size": 2}, "type_vocab_size is 2"),
        (DEBERTA | {"conv_kernel_size": 3}, "conv_kernel_size is 3"),
        (DEBERTA | {"pos_att_type": "c2p"}, "pos_att_type is 'c2p'"),
        (DEBERTA | {"pos_att_type": None}, "Only c2p with p2c"),
        (DEBERTA | {"position_buckets": -1}, "position_buckets is -1"),
        (DEBERTA | {"max_relative_positions": 100}, "half of them must be below"),
        (DEBERTA | {"pooler_hidden_size": 512}, "pooler_hidden_size is 512"),
        (DEBERTA | {"embedding_size": 128}, "embedding_size is 128"),
    ],
)
def test_variants_that_are_not_implemented_are_refused(config: dict[str, Any], message: str) -> None:
    """Loudly, naming key and value, instead of giving wrong scores."""
    with pytest.raises(CheckpointError, match=message):
        model_of(config)
