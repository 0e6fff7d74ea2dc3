"""What the engines are timed on: queries with their candidate lists, of lengths as real text has them."""

import csv
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rerank_ops.comparison import sample
from rerank_ops.errors import NotFound

FIRST_STAGE = "bm25_k0.9_b0.4_top100.trec"
Request = tuple[str, list[str]]

# Words of a document: the logarithm is normal. Fitted to what BM25 returns from guides of a cloud provider (documents,
# with a long tail) and from encyclopaedia paragraphs (passages).
DISTRIBUTIONS = {"documents": (6.4, 1.0), "passages": (4.8, 0.45)}
_LONGEST_WORDS = 12_000
SNIPPET_WORDS = 20


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests, and where they come from.

    Attributes:
        name: for tables.
        requests: queries and documents, in the order in which a first stage returned them.
    """

    name: str
    requests: tuple[Request, ...]

    @property
    def texts(self) -> Iterator[str]:
        """Every text, for training a tokenizer."""
        for query, documents in self.requests:
            yield query
            yield from documents


def read_collection(folder: Path, *, requests: int, documents: int, seed: int = 0) -> Workload:
    """The first-stage candidates of `requests` queries of a collection in BEIR's layout with a BM25 run beside it.

    Raises:
        NotFound: a file is missing.
    """
    for name in ("corpus.jsonl", "queries.jsonl", FIRST_STAGE):
        if not (folder / name).is_file():
            raise NotFound(f"{folder} has no {name}.", tip="Leave --collection away for generated texts.")
    corpus = {entry["_id"]: f"{entry.get('title', '')}\n{entry['text']}".strip() for entry in _lines(folder, "corpus")}
    queries = {entry["_id"]: entry["text"] for entry in _lines(folder, "queries")}
    candidates: dict[str, list[str]] = {}
    with (folder / FIRST_STAGE).open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter=" "):
            candidates.setdefault(row[0], []).append(row[2])
    chosen = random.Random(seed).sample(sorted(candidates), min(requests, len(candidates)))  # noqa: S311
    made = tuple((queries[query], [corpus[name] for name in candidates[query][:documents]]) for query in chosen)
    return Workload(folder.name, made)


def generate(kind: str, *, requests: int, documents: int, seed: int = 0) -> Workload:
    """Texts of the lengths that `DISTRIBUTIONS` says, made of the sentences shipped with the kit."""
    chance = random.Random(seed)  # noqa: S311
    middle, spread = DISTRIBUTIONS[kind]
    words = " ".join(sample.text()).split()

    def text(count: int) -> str:
        start = chance.randrange(len(words))
        return " ".join(words[(start + place) % len(words)] for place in range(count))

    def length() -> int:
        return max(5, min(_LONGEST_WORDS, round(math.exp(chance.gauss(middle, spread)))))

    made = tuple(
        (sample.QUERIES[number % len(sample.QUERIES)], [text(length()) for _ in range(documents)])
        for number in range(requests)
    )
    return Workload(f"generated {kind}", made)


def snippets(workload: Workload) -> Workload:
    """The same requests with the first words of each document alone: where fixed costs weigh most."""
    cut = tuple(
        (query, [" ".join(text.split()[:SNIPPET_WORDS]) for text in documents])
        for query, documents in workload.requests
    )
    return Workload(f"the first {SNIPPET_WORDS} words of {workload.name}", cut)


def _lines(folder: Path, name: str) -> Iterator[dict[str, str]]:
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
