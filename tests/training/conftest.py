"""A language of nonsense words, small enough to learn in seconds."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SYLLABLES = ["ba", "ko", "ri", "mu", "te", "lo", "sa", "ni", "du", "pe", "vo", "gi"]


@pytest.fixture(scope="session")
def words() -> list[str]:
    return [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES[:3]]


@pytest.fixture(scope="session")
def toy_pairs(words: list[str]) -> list[dict[str, Any]]:
    """Passages of 12 words; a query is three words of its passage."""
    rng = random.Random(0)
    pairs = []
    for _ in range(160):
        passage = rng.sample(words, 12)
        pairs.append({"query": " ".join(rng.sample(passage, 3)), "passage": " ".join(passage)})
    return pairs


@pytest.fixture
def pairs_file(tmp_path: Path, toy_pairs: list[dict[str, Any]]) -> Path:
    return write_lines(tmp_path / "pairs.jsonl", toy_pairs)


@pytest.fixture
def make_collection(tmp_path: Path, words: list[str]) -> Callable[..., Path]:
    """A BEIR folder of `size` documents; each query is three words of one of them, and one word of another."""

    def make(name: str = "toy", size: int = 30, seed: int = 1, length: int = 12) -> Path:
        rng = random.Random(seed)
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        texts = [rng.sample(words, length) for _ in range(size)]
        write_lines(
            folder / "corpus.jsonl",
            [{"_id": f"d{n}", "title": "", "text": " ".join(text)} for n, text in enumerate(texts)],
        )
        queries = [[*rng.sample(text, 2), rng.choice(texts[n - 1])] for n, text in enumerate(texts)]
        write_lines(
            folder / "queries.jsonl", [{"_id": f"q{n}", "text": " ".join(query)} for n, query in enumerate(queries)]
        )
        rows = "".join(f"q{n}\td{n}\t1\n" for n in range(size))
        (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}", encoding="utf-8")
        return folder

    return make


def write_lines(path: Path, values: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


@pytest.fixture
def bi_encoder(tmp_path: Path) -> Path:
    """A small BERT with mean pooling and random weights, whose words are the letters a to h."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path / "bi-encoder"
    folder.mkdir()

    h, v = 16, 12
    config: dict[str, Any] = {
        "model_type": "bert",
        "hidden_size": h,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config))
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3} | {
        letter: 4 + n for n, letter in enumerate("abcdefgh")
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    shapes = {
        "embeddings.word_embeddings.weight": (v, h),
        "embeddings.position_embeddings.weight": (32, h),
        "embeddings.token_type_embeddings.weight": (2, h),
    }
    norms = ["embeddings.LayerNorm"]
    for n in range(2):
        layer = f"encoder.layer.{n}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{layer}.{part}.weight": (h, h), f"{layer}.{part}.bias": (h,)}
        shapes |= {f"{layer}.intermediate.dense.weight": (32, h), f"{layer}.intermediate.dense.bias": (32,)}
        shapes |= {f"{layer}.output.dense.weight": (h, 32), f"{layer}.output.dense.bias": (h,)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    tensors = {name: torch.randn(shape) * 0.3 for name, shape in shapes.items()}
    for name in norms:
        tensors |= {f"{name}.weight": torch.ones(h), f"{name}.bias": torch.zeros(h)}
    save_file(tensors, folder / "model.safetensors")
    return folder
