"""The demo's texts, written for this repository."""

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Passage:
    """A short text about running ML on AWS."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the ids of the passages that answer it, best first."""

    id: str
    text: str
    relevant: tuple[str, ...]


def passages() -> list[Passage]:
    """All passages, in the order of their ids."""
    return [Passage(**entry) for entry in _read("passages.json")]


def questions() -> list[Question]:
    """All questions, in the order of their ids."""
    return [Question(entry["id"], entry["text"], tuple(entry["relevant"])) for entry in _read("questions.json")]


def requests() -> list[dict[str, object]]:
    """One rerank request per question, over all passages: a line of the batch job's input."""
    texts = [passage.text for passage in passages()]
    return [
        {"id": question.id, "query": question.text, "documents": texts, "return_documents": False}
        for question in questions()
    ]


def _read(name: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return entries
