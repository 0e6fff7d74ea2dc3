"""Pairs of query and document that are known to be relevant or not."""

import json
from dataclasses import dataclass
from pathlib import Path

from rerank_ops.errors import NotFound, Refused


@dataclass(frozen=True, slots=True)
class Pair:
    """One labelled pair."""

    query: str
    document: str
    relevant: bool


def from_file(path: Path) -> list[Pair]:
    """Pairs of a JSON Lines file: {"query", "document", "label"}.

    Raises:
        NotFound: the file cannot be read.
        Refused: a line is no such object; the message names it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            query, document, label = value["query"], value["document"], value["label"]
        except (ValueError, KeyError, TypeError):
            query = document = label = None
        if not isinstance(query, str) or not isinstance(document, str) or label not in (0, 1):
            shown = 'Must be {"query": "…", "document": "…", "label": 0 or 1}.'
            raise Refused(f"{path}:{number} is {line[:100]!r}. {shown}")
        pairs.append(Pair(query, document, bool(label)))
    return pairs


def from_collection(folder: Path, *, split: str, top: int, queries: int) -> list[Pair]:
    """Pairs of a collection in BEIR's layout: what was judged, and BM25's best `top` of each query.

    Raises:
        DataError: a file is missing or malformed.
    """
    from rerank_training.beir import read_collection
    from rerank_training.runs import bm25_run

    collection = read_collection(folder, split).subset(queries)
    run = bm25_run(collection, top)
    pairs = []
    for query, text in collection.queries.items():
        grades = collection.qrels[query]
        candidates = dict.fromkeys([*grades, *(document for document, _ in run.get(query, ()))])
        pairs += [
            Pair(text, collection.documents[document].full, grades.get(document, 0) > 0)
            for document in candidates
            if document in collection.documents
        ]
    return pairs
