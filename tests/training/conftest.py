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
