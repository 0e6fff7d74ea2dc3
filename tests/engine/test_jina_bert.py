"""The model as its users rely on it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rerank_engine.errors import CheckpointError
from rerank_engine.models import FAMILIES, recognise
from rerank_engine.models.jina_bert import JinaBert, Shape

LENGTHS = (9, 61, 30, 30, 4, 118)
Fixture = Callable[..., Any]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_pair_scores_alone_as_in_any_company(
    config: Fixture, random_model: Fixture, random_pairs: Fixture, pack: Fixture, dtype: torch.dtype, tolerance: float
) -> None:
    """There is no padding to attend to, and pairs do not see each other."""
    model, _ = random_model(config(), dtype=dtype)
    pairs = random_pairs(*LENGTHS)
    alone = [model(pack([ids])).item() for ids in pairs]

    together = model(pack(pairs)).tolist()

    assert alone == pytest.approx(together, abs=tolerance, rel=0)


@given(st.permutations(range(len(LENGTHS))))
@settings(max_examples=15, deadline=None)
def test_permuting_pairs_permutes_logits(
    config: Fixture, random_model: Fixture, random_pairs: Fixture, pack: Fixture, order: list[int]
) -> None:
    """Whatever their order, lengths sorted or not."""
    model, _ = random_model(config(num_hidden_layers=1))
    pairs = random_pairs(*LENGTHS)
    logits = model(pack(pairs)).tolist()

    permuted = model(pack([pairs[index] for index in order])).tolist()

    assert [logits[index] for index in order] == pytest.approx(permuted, abs=1e-12, rel=0)


def test_two_calls_are_identical(config: Fixture, random_model: Fixture, random_pairs: Fixture, pack: Fixture) -> None:
    """To the last bit."""
    model, _ = random_model(config(), dtype=torch.float32)
    batch = pack(random_pairs(*LENGTHS))

    assert torch.equal(model(batch), model(batch))


def test_bf16_keeps_norms_and_head_in_float32(
    config: Fixture, random_model: Fixture, random_pairs: Fixture, pack: Fixture
) -> None:
    """Logits are float32 and near those of float64."""
    model, weights = random_model(config())
    batch = pack(random_pairs(*LENGTHS))
    exact = model(batch)
    reduced, _ = random_model(config(), dtype=torch.bfloat16)
    wide = {name for name, module in reduced.named_modules() if getattr(module, "keeps_float32", False)}
    reduced.load_state_dict(
        {
            name: torch.from_numpy(value).to(torch.float32 if name.rpartition(".")[0] in wide else torch.bfloat16)
            for name, value in weights.items()
        },
        assign=True,
    )

    logits = reduced(batch)

    assert torch.float32 == logits.dtype
    torch.testing.assert_close(logits.double(), exact, atol=0.15, rtol=0)


def test_gradients_reach_every_weight_that_is_read(
    config: Fixture, random_model: Fixture, random_pairs: Fixture, pack: Fixture
) -> None:
    """The model can be trained as it is; only the unused token type gets no gradient."""
    model, _ = random_model(config())

    model(pack(random_pairs(*LENGTHS))).square().sum().backward()

    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert [] == [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]
    types = gradients["bert.embeddings.token_type_embeddings.weight"]
    assert types[0].any()
    assert not types[1].any()


def test_the_state_dict_is_the_published_one(config: Fixture) -> None:
    """68 tensors for four layers, under the published names."""
    with torch.device("meta"):
        names = set(recognise(config()).from_config(config(num_hidden_layers=4)).state_dict())

    assert 68 == len(names)
    assert {
        "bert.embeddings.LayerNorm.bias",
        "bert.encoder.layer.3.attention.self.query.weight",
        "bert.encoder.layer.3.attention.output.dense.bias",
        "bert.encoder.layer.3.mlp.gated_layers.weight",
        "bert.encoder.layer.3.mlp.wo.bias",
        "bert.encoder.layer.3.mlp.layernorm.weight",
        "bert.pooler.dense.weight",
        "classifier.bias",
    } <= names


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({"vocab_size": 61056, "hidden_size": 384, "num_hidden_layers": 4}, 0.5),
        ({"vocab_size": 61056, "hidden_size": 384, "num_hidden_layers": 6}, 0.5),
        ({"vocab_size": 30528, "hidden_size": 768, "num_hidden_layers": 12}, 1.0),
        ({"vocab_size": 61056, "hidden_size": 384, "num_hidden_layers": 4, "alibi_tail_scale": 1.0}, 1.0),
        ({"alibi_tail_scale": 0.5}, 0.5),
    ],
)
def test_slopes_are_halved_where_declared_or_known(config: Fixture, changes: dict[str, Any], scale: float) -> None:
    """A declared scale wins; else the two published shapes are known by their numbers."""
    assert scale == Shape.read(config(**changes)).alibi_tail_scale


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"feed_forward_type": "original"}, "feed_forward_type is 'original'"),
        ({"num_labels": 3}, "3 labels"),
        ({"num_labels": None, "id2label": {"0": "a", "1": "b", "2": "c"}}, "3 labels"),
        ({"id2label": {"0": "no", "1": "yes"}}, "2 labels"),
        ({"hidden_size": 50}, "hidden_size 50 is not a multiple of num_attention_heads 12"),
        ({"num_hidden_layers": "4"}, "num_hidden_layers is '4'"),
        ({"vocab_size": None}, "vocab_size is None"),
        ({"layer_norm_eps": 0}, "layer_norm_eps is 0"),
    ],
)
def test_variants_that_are_not_implemented_are_refused(config: Fixture, changes: dict[str, Any], message: str) -> None:
    """Loudly, naming key and value, instead of giving wrong scores."""
    with pytest.raises(CheckpointError, match=message):
        Shape.read(config(**changes))


def test_published_configs_are_recognised(config: Fixture) -> None:
    """By model_type bert with ALiBi."""
    assert JinaBert is recognise(config())


@pytest.mark.parametrize("changes", [{"model_type": "llama"}, {"position_embedding_type": "absolute"}])
def test_other_families_are_named_in_the_refusal(config: Fixture, changes: dict[str, Any]) -> None:
    """With what is supported as the tip."""
    with pytest.raises(CheckpointError, match=f"model_type '{config(**changes)['model_type']}'") as caught:
        recognise(config(**changes))

    assert all(family.family in str(caught.value.tip) for family in FAMILIES)


def test_ids_outside_the_vocabulary_are_refused(pack: Fixture) -> None:
    """Before they reach the device, where they would end the process."""
    with pytest.raises(CheckpointError, match=r"ids 5\.\.150 do not fit"):
        pack([[5, 150]])
