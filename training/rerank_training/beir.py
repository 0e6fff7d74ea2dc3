"""Collections in BEIR's layout: corpus.jsonl (_id, title, text), queries.jsonl (_id, text), qrels/<split>.tsv."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank_training.errors import DataError
from rerank_training.texts import json_lines


@dataclass(frozen=True)
class Document:
    """One document of a corpus.

    Attributes:
        title: its title; may be empty.
        text: its body.
    """

    title: str
    text: str

    @property
    def full(self) -> str:
        """Title and body as one text, as BEIR's baselines index it."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True)
class Collection:
    """A test collection.

    Attributes:
        name: its folder's name.
        documents: by document id.
        queries: text by query id; those with judgements only.
        qrels: grade by document id by query id.
    """

    name: str
    documents: dict[str, Document]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]

    def subset(self, queries: int) -> "Collection":
        """The same collection with its first `queries` queries (in their file's order); 0 keeps all."""
        kept = dict(list(self.queries.items())[: queries or None])
        return Collection(self.name, self.documents, kept, {query: self.qrels[query] for query in kept})


def require_collection(folder: Path, split: str = "test") -> None:
    """`folder` has the files of a collection.

    Raises:
        DataError: one is missing.
    """
    for name in ("corpus.jsonl", "queries.jsonl", f"qrels/{split}.tsv"):
        if not (folder / name).is_file():
            raise DataError(
                f"{folder / name} does not exist.",
                tip=f"A collection is a folder in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/{split}.tsv.",
            )


def read_collection(folder: Path, split: str = "test") -> Collection:
    """Read a folder in BEIR's layout.

    Raises:
        DataError: a file is missing or malformed, an id occurs twice, or no query has a judgement.
    """
    require_collection(folder, split)
    documents = {
        key: Document(str(value.get("title") or ""), str(value.get("text") or ""))
        for key, value in _by_id(folder / "corpus.jsonl")
    }
    texts = {key: str(value.get("text") or "") for key, value in _by_id(folder / "queries.jsonl")}
    qrels = read_qrels(folder / "qrels" / f"{split}.tsv")
    judged = {query: text for query, text in texts.items() if query in qrels}
    if not judged:
        raise DataError(f"{folder}: no query of queries.jsonl has a judgement in qrels/{split}.tsv.")
    return Collection(folder.resolve().name, documents, judged, {query: qrels[query] for query in judged})


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Judgements: a header line, then query id, document id and grade, separated by tabs.

    Raises:
        DataError: the file is missing, or a line has other than three fields or a grade that is no whole number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    found: dict[str, dict[str, int]] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            query, document, grade = line.split("\t")
            found.setdefault(query, {})[document] = int(grade)
        except ValueError:
            raise DataError(
                f"{path}:{number} is {line!r}. Must be query-id, corpus-id, score, separated by tabs."
            ) from None
    return found


def _by_id(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    seen: set[str] = set()
    for where, value in json_lines(path):
        key = value.get("_id")
        if not isinstance(key, str) or key in seen:
            raise DataError(f"{where} has _id {key!r}: it must be a string that no other line has.")
        seen.add(key)
        yield key, value
