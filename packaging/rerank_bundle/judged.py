"""Lists of judged documents: the kit's own small sample, or a collection in BEIR's layout.

https://github.com/beir-cellar/beir
"""

import csv
import json
import random
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from rerank_bundle.errors import SourceError
from rerank_bundle.parity import Judged

SAMPLE = "the kit's sample"
MOST_QUERIES = 100
CANDIDATES = 20
_SEED = 0


def sample() -> list[Judged]:
    """Twelve questions, each with eight passages, one of which answers it: shipped beside this file."""
    text = files("rerank_bundle").joinpath("data/parity_sample.json").read_text(encoding="utf-8")
    passages: list[dict[str, str]] = json.loads(text)
    judged = []
    for number, entry in enumerate(passages):
        others = [passages[(number + step) % len(passages)]["passage"] for step in range(1, 8)]
        judged.append(Judged(entry["question"], (entry["passage"], *others), (1, *([0] * len(others)))))
    return judged


def read_collection(folder: Path) -> list[Judged]:
    """At most 100 judged queries of a collection, each with 20 candidates: judged documents first, then others.

    The others are the first of a TREC run (*.trec) where the folder has one, else drawn at random, the same every time.

    Raises:
        SourceError: a file is missing or not what it should be.
    """
    try:
        corpus = {
            entry["_id"]: f"{entry.get('title') or ''}\n{entry['text']}".strip() for entry in _lines(folder, "corpus")
        }
        queries = {entry["_id"]: entry["text"] for entry in _lines(folder, "queries")}
        grades = _grades(folder / "qrels" / "test.tsv")
        run = _run(folder)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise SourceError(
            f"{folder} is not a collection in BEIR's layout: {error}.",
            tip="It has corpus.jsonl, queries.jsonl and qrels/test.tsv.",
        ) from error
    chance = random.Random(_SEED)  # noqa: S311 - a sample, not a secret
    known = sorted(query for query in grades if query in queries)
    judged = []
    for query in sorted(chance.sample(known, min(MOST_QUERIES, len(known)))):
        relevant = [document for document in grades[query] if document in corpus]
        others = run.get(query) or chance.sample(sorted(corpus), min(CANDIDATES, len(corpus)))
        names = list(dict.fromkeys([*relevant, *(name for name in others if name in corpus)]))[:CANDIDATES]
        judged.append(
            Judged(
                queries[query],
                tuple(corpus[name] for name in names),
                tuple(grades[query].get(name, 0) for name in names),
            )
        )
    if not judged:
        raise SourceError(f"{folder} judges no query that it has.")
    return judged


def _lines(folder: Path, name: str) -> Iterator[dict[str, str]]:
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _grades(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in list(csv.reader(file, delimiter="\t"))[1:]:
            found.setdefault(row[0], {})[row[1]] = int(row[2])
    return found


def _run(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.trec"))[:1]:
        for line in path.read_text(encoding="utf-8").splitlines():
            query, _, document, *_ = line.split()
            found.setdefault(query, []).append(document)
    return found
