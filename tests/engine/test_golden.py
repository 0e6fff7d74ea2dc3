"""Logits of the reference implementation on random weights, recorded in tests/data/golden."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rerank_engine.models import CrossEncoder, PackedBatch, recognise
from rerank_engine.models.checkpoint import read_checkpoint
from rerank_engine.models.weights import load_weights

CPU = torch.device("cpu")
TAIL_SCALE = {"canonical": 1.0, "halved_tail": 0.5}
DTYPES = {"float32": torch.float32, "float64": torch.float64}
TOLERANCE = {"float32": 2e-5, "float64": 1e-9}
CASES = ("case0", "case1", "case2")  # case2 holds a pair longer than max_position_embeddings

every_variant = pytest.mark.parametrize(
    ("case", "slopes", "dtype"), [(c, s, d) for c in CASES for s in TAIL_SCALE for d in DTYPES]
)


@pytest.fixture(scope="module")
def golden() -> Path:
    return Path(__file__).parents[1] / "data" / "golden" / "jina_bert_small"


@pytest.fixture(scope="module")
def expected(golden: Path) -> dict[str, Any]:
    cases: dict[str, Any] = json.loads((golden / "expected.json").read_text())["cases"]
    return cases


def load(golden: Path, slopes: str, dtype: str) -> CrossEncoder:
    config = read_checkpoint(golden).config | {"alibi_tail_scale": TAIL_SCALE[slopes]}
    with torch.device("meta"):
        model = recognise(config).from_config(config)
    load_weights(model, golden, device=CPU, dtype=DTYPES[dtype])
    return model


def batch(golden: Path, case: str) -> PackedBatch:
    inputs = json.loads((golden / "inputs.json").read_text())[case]
    rows = zip(inputs["input_ids"], inputs["lens"], strict=True)
    return PackedBatch.pack([row[:length] for row, length in rows], CPU, vocab_size=200)


@every_variant
def test_logits_are_those_of_the_reference(
    golden: Path, expected: dict[str, Any], case: str, slopes: str, dtype: str
) -> None:
    """Each recorded case with token types 0 or left out comes out, whichever attention the reference used."""
    recorded = [
        expected[key]["logits"]
        for attention in ("eager", "sdpa")
        for types in ("zeros", "none")
        if (key := f"{case}|{slopes}|{attention}|{dtype}|tt={types}") in expected
    ]

    logits = load(golden, slopes, dtype)(batch(golden, case)).tolist()

    assert len(recorded) >= 2
    assert recorded == [pytest.approx(logits, abs=TOLERANCE[dtype], rel=0)] * len(recorded)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("slopes", TAIL_SCALE)
def test_hidden_states_are_those_of_the_reference(
    golden: Path, expected: dict[str, Any], case: str, slopes: str
) -> None:
    """First tokens after the last layer and after the pooler agree, although nothing else of that layer is computed."""
    recorded = expected[f"{case}|{slopes}|eager|float64|tt=zeros"]
    model: Any = load(golden, slopes, "float64")
    packed = batch(golden, case)

    first = model.bert.encoder(model.bert.embeddings(packed.token_ids), packed)
    pooled = model.bert.pooler(first)

    for name, ours in (("cls_hidden_first4", first), ("pooled_first4", pooled)):
        torch.testing.assert_close(ours[:, :4], torch.tensor(recorded[name], dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_segments_of_bert_are_not_used(golden: Path, expected: dict[str, Any], case: str) -> None:
    """Token types 0/1, which this family was not trained with, would give other logits than ours."""
    segments = expected[f"{case}|canonical|eager|float64|tt=bert01"]["logits"]

    logits = load(golden, "canonical", "float64")(batch(golden, case)).tolist()

    assert all(abs(ours - theirs) > 0.1 for ours, theirs in zip(logits, segments, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_slope_variants_differ(golden: Path, case: str) -> None:
    """Halving the interpolated slopes shows in the logits, so that acceptance pairs can tell the two apart."""
    canonical, halved = (load(golden, slopes, "float64")(batch(golden, case)) for slopes in TAIL_SCALE)

    assert (canonical - halved).abs().max().item() > 1e-3
