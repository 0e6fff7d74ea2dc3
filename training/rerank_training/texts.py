"""Training data: (query, passage) pairs from JSON Lines, and what must be kept out of them.

A line is {"query": …, "passage": …} with an optional "page" (a title) and optional "negatives": […], or {"query": …,
"passages": […]} without any label. "positive" and "positives" (a list) are taken for "passage". Files may be gzipped.
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank_training.errors import DataError

RUN_WORDS = 6  # fewer are shared by chance


@dataclass(frozen=True, slots=True)
class Example:
    """One training query.

    Attributes:
        query: the query.
        positives: passages known to answer it; may be empty (bare data).
        others: passages that came with it without a label, or as negatives.
        title: title of the positives' page; empty when unknown.
    """

    query: str
    positives: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    title: str = ""


def read_examples(paths: Sequence[Path]) -> list[Example]:
    """All examples of `paths`, in order.

    Raises:
        DataError: a file is missing, a line is not JSON, or a line has no query or no passage.
    """
    return [_example(value, where) for path in paths for where, value in json_lines(path)]


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Objects of a JSON Lines file, gzipped or not, each with "file:line" for messages; blank lines are passed over."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise DataError(f"{path}:{number} holds {type(value).__name__}, not an object.")
                yield f"{path}:{number}", value
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.", tip="Give a file of JSON Lines, as it is or as .gz.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON Lines: {error}.") from error


def _example(value: dict[str, Any], where: str) -> Example:
    query = value.get("query")
    named = [name for name in ("passage", "positive", "positives") if name in value]
    if len(named) > 1:
        raise DataError(f"{where} has {' and '.join(named)}.", tip="One of them holds what answers the query.")
    positives = value[named[0]] if named else ()
    others = [*value.get("negatives", ()), *value.get("passages", ())]
    positives = [positives] if isinstance(positives, str) else list(positives)
    if not isinstance(query, str) or not query.strip():
        raise DataError(f"{where} has no query.", tip='A line is {"query": …, "passage": …}.')
    if (not positives and not others) or not all(isinstance(text, str) for text in [*positives, *others]):
        raise DataError(f"{where} has no passage.", tip='Give "passage", with or without "negatives", or "passages".')
    return Example(query, tuple(positives), tuple(others), str(value.get("page") or value.get("title") or ""))


class Excluded:
    """What must not be trained on: the queries and documents of evaluation collections.

    Texts are compared by their letters and digits alone, so that lower-casing and spacing do not hide a copy.
    """

    def __init__(self, queries: Iterable[str], documents: Iterable[str]) -> None:
        self._queries = {normalised(query) for query in queries}
        self._runs = {run for document in documents for run in _runs(document)}

    def keeps_out(self, example: Example) -> bool:
        """Whether the query is an evaluation query, or half of a positive's word runs are an evaluation document's."""
        if normalised(example.query) in self._queries:
            return True
        return any(
            2 * sum(run in self._runs for run in runs) >= len(runs) > 0 for runs in map(_runs, example.positives)
        )


def _runs(text: str) -> list[str]:
    """Every run of RUN_WORDS words: what two texts share when one was copied from the other."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return [" ".join(words[n : n + RUN_WORDS]) for n in range(len(words) - RUN_WORDS + 1)]


def normalised(text: str) -> str:
    """`text` with letters and digits alone, lower-cased."""
    return re.sub(r"[\W_]+", "", text.lower())
