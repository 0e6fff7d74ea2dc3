"""The families beside JinaBERT, held to transformers' own classes on random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rerank_engine.errors import CheckpointError
from rerank_engine.models import CrossEncoder, PackedBatch, load_model

transformers = pytest.importorskip("transformers")

CPU = torch.device("cpu")
VOCABULARY, SEPARATOR = 300, 2
EXACT = 1e-6  # transformers divides DeBERTa's scores by a square root taken in float32, even in float64
LENGTHS = (5, 62, 17, 17, 40, 4, 3)
SIZES = {"vocab_size": VOCABULARY, "num_labels": 1}
DEBERTA = {
    "relative_attention": True,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
    "type_vocab_size": 0,
    "pos_att_type": "p2c|c2p",
}
SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
WIDE = {"hidden_size": 60, "num_hidden_layers": 3, "num_attention_heads": 12, "intermediate_size": 36}
ONE_LAYER = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 64}

# name -> transformers' prefix, its config, further lengths to try
CASES: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "bert": ("Bert", SMALL | {"max_position_embeddings": 512}, (512, 300)),
    "bert, wide": ("Bert", WIDE | {"max_position_embeddings": 64, "layer_norm_eps": 1e-6}, (64,)),
    "bert, one token type": ("Bert", ONE_LAYER | {"max_position_embeddings": 64, "type_vocab_size": 1}, ()),
    "xlm-roberta": ("XLMRoberta", SMALL | {"max_position_embeddings": 514, "type_vocab_size": 1}, (512, 300)),
    "xlm-roberta, wide": ("XLMRoberta", WIDE | {"max_position_embeddings": 100, "layer_norm_eps": 1e-5}, (98,)),
    "xlm-roberta, other padding": ("XLMRoberta", ONE_LAYER | {"max_position_embeddings": 90, "pad_token_id": 9}, (80,)),
    "roberta": ("Roberta", SMALL | {"max_position_embeddings": 66, "type_vocab_size": 1}, (64,)),
    "camembert": ("Camembert", SMALL | {"max_position_embeddings": 66, "type_vocab_size": 1}, (64,)),
    "deberta-v2": (
        "DebertaV2",
        SMALL | DEBERTA | {"max_position_embeddings": 64, "position_buckets": 16},
        (63, 64, 65, 200, 700),
    ),
    "deberta-v2, published buckets": (
        "DebertaV2",
        WIDE | DEBERTA | {"max_position_embeddings": 512, "position_buckets": 256},
        (128, 129, 130, 512, 513, 600),
    ),
    "deberta-v2, reach of its own": (
        "DebertaV2",
        ONE_LAYER | DEBERTA | {"max_position_embeddings": 80, "position_buckets": 6, "max_relative_positions": 20},
        (90,),
    ),
}
every_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, nn.Module]]:
    """A checkpoint folder as transformers saves it, and its model, in float64."""
    made: dict[str, tuple[Path, nn.Module]] = {}

    def make(case: str) -> tuple[Path, nn.Module]:
        if case not in made:
            prefix, values, _ = CASES[case]
            torch.manual_seed(5)
            reference = getattr(transformers, f"{prefix}ForSequenceClassification")(
                getattr(transformers, f"{prefix}Config")(**SIZES, **values)
            )
            with torch.no_grad():
                for name, weight in reference.named_parameters():
                    spread = 0.3 if weight.ndim == 1 or "embeddings" in name else 1.5 / weight.shape[-1] ** 0.5
                    weight.copy_(torch.randn_like(weight) * spread + (1 if name.endswith("LayerNorm.weight") else 0))
            folder = tmp_path_factory.mktemp("published")
            reference.save_pretrained(folder)
            made[case] = folder, reference.double().eval()
        return made[case]

    return make


def load(folder: Path, dtype: torch.dtype) -> CrossEncoder:
    model = load_model(folder, device=CPU, dtype=dtype)
    model.separator_id = SEPARATOR
    return model


def pairs(*lengths: int) -> list[list[int]]:
    """Random token ids with the separator once in the middle and once at the end."""
    random = torch.Generator().manual_seed(sum(lengths))
    found = [torch.randint(10, VOCABULARY, (length,), generator=random).tolist() for length in lengths]
    for ids in found:
        ids[len(ids) // 3] = ids[-1] = SEPARATOR
    return found


def pack(token_id_lists: list[list[int]]) -> PackedBatch:
    return PackedBatch.pack(token_id_lists, CPU, vocab_size=VOCABULARY)


def reference_logit(reference: nn.Module, ids: list[int]) -> Tensor:
    """One pair, with token types as a BERT tokenizer would give them, where the model has any."""
    query = ids.index(SEPARATOR) + 1
    types = [0] * query + [1] * (len(ids) - query)
    has_types = getattr(reference.config, "type_vocab_size", 0) > 1
    more = {"token_type_ids": torch.tensor([types])} if has_types and reference.config.model_type == "bert" else {}
    logit: Tensor = reference(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), **more).logits
    return logit.sum()


@torch.no_grad()
def expected_logits(reference: nn.Module, token_id_lists: list[list[int]]) -> list[float]:
    return [reference_logit(reference, ids).item() for ids in token_id_lists]


@every_case
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, EXACT), (torch.float32, 2e-5)])
def test_logits_are_those_of_transformers(
    case: str, dtype: torch.dtype, tolerance: float, published: Callable[..., Any]
) -> None:
    """From the files that save_pretrained writes, up to the longest pairs and, in DeBERTa, beyond."""
    _, _, further = CASES[case]
    folder, reference = published(case)
    ids = pairs(*LENGTHS, *further)
    expected = expected_logits(reference, ids)
    model = load(folder, dtype)

    with torch.inference_mode():
        logits = model(pack(ids))

    assert dtype == logits.dtype
    assert max(expected) - min(expected) > 0.05
    assert expected == pytest.approx(logits.tolist(), abs=tolerance, rel=0)


@every_case
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_pair_scores_alone_as_in_any_company(
    case: str, dtype: torch.dtype, tolerance: float, published: Callable[..., Any]
) -> None:
    """Other pairs, padding within a call and the place in the batch change nothing."""
    model = load(published(case)[0], dtype)
    ids = pairs(*LENGTHS, 61, 63, 5, 64)
    with torch.inference_mode():
        alone = [model(pack([pair])).item() for pair in ids]

        together = model(pack(ids)).tolist()
        reversed_order = model(pack(ids[::-1])).tolist()[::-1]

    assert alone == pytest.approx(together, abs=tolerance, rel=0)
    assert alone == pytest.approx(reversed_order, abs=tolerance, rel=0)


@every_case
def test_gradients_are_those_of_transformers(case: str, published: Callable[..., Any]) -> None:
    """Every weight that is trained there is trained here."""
    folder, reference = published(case)
    model = load(folder, torch.float64)
    [ids] = pairs(40)
    reference.zero_grad()

    model(pack([ids])).sum().backward()
    reference_logit(reference, ids).backward()

    theirs = dict(reference.named_parameters())
    for name, weight in model.named_parameters():
        expected = theirs[name].grad
        assert expected is not None
        assert weight.grad is not None, name
        torch.testing.assert_close(
            weight.grad, expected, atol=EXACT, rtol=1e-5, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("case", ["bert", "xlm-roberta", "deberta-v2"])
@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_reduced_storage_is_read(case: str, stored: torch.dtype, published: Callable[..., Any], tmp_path: Path) -> None:
    """The published checkpoints come in float32 (bge, MiniLM) and float16 (mxbai); logits stay near."""
    folder, reference = published(case)
    rewrite(folder, tmp_path, lambda tensors: {name: tensor.to(stored) for name, tensor in tensors.items()})
    ids = pairs(*LENGTHS)
    expected = expected_logits(reference, ids)

    with torch.inference_mode():
        logits = load(tmp_path, torch.float32)(pack(ids)).tolist()

    assert expected == pytest.approx(logits, abs=0.05 if stored == torch.bfloat16 else 0.01, rel=0)


@every_case
def test_bf16_stays_near(case: str, published: Callable[..., Any]) -> None:
    """Matrix products in bf16, norms, heads and softmax in float32: logits are float32 and near the exact ones."""
    folder, reference = published(case)
    ids = pairs(*LENGTHS)
    expected = expected_logits(reference, ids)

    with torch.inference_mode():
        logits = load(folder, torch.bfloat16)(pack(ids))

    assert torch.float32 == logits.dtype
    assert expected == pytest.approx(logits.tolist(), abs=0.15, rel=0)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("bert", "bert.embeddings.position_ids"),
        ("xlm-roberta", "roberta.embeddings.position_ids"),
        ("deberta-v2", "deberta.embeddings.position_ids"),
    ],
)
def test_stored_position_ids_are_passed_over(
    case: str, name: str, published: Callable[..., Any], tmp_path: Path
) -> None:
    """bge-reranker-base carries them, as int64: they are no weights. Anything else beside the weights is refused."""
    folder, _ = published(case)
    rewrite(folder, tmp_path, lambda tensors: tensors | {name: torch.arange(64)[None]})
    ids = pairs(*LENGTHS)

    logits, without = (load(source, torch.float64)(pack(ids)).tolist() for source in (tmp_path, folder))
    assert without == pytest.approx(logits, abs=1e-12, rel=0)

    rewrite(folder, tmp_path, lambda tensors: tensors | {f"{name}_": torch.arange(64)[None]})
    with pytest.raises(CheckpointError, match=f"1 not expected: {name}_"):
        load(tmp_path, torch.float32)


def test_a_model_with_token_types_asks_for_the_separator(published: Callable[..., Any]) -> None:
    """Without it query and document could not be told apart, and scores would be wrong without a word."""
    model = load_model(published("bert")[0], device=CPU, dtype=torch.float32)

    with pytest.raises(CheckpointError, match="which token ends a query"):
        model(pack(pairs(5)))


def rewrite(source: Path, target: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """The checkpoint of `source` in `target`, its tensors changed."""
    (target / "config.json").write_bytes((source / "config.json").read_bytes())
    save_file(change(load_file(source / "model.safetensors")), target / "model.safetensors")
