"""First-stage runs: ranked document ids per query, in TREC's format (`query Q0 document rank score tag`)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from rerank_training.beir import Collection
from rerank_training.bm25 import Bm25
from rerank_training.errors import DataError

Run = dict[str, list[tuple[str, float]]]  # per query: (document, score), best first


def read_run(path: Path) -> Run:
    """Read a TREC run; documents are ordered by score, equal scores by rank.

    Raises:
        DataError: the file is missing or a line is not one of a TREC run.
    """
    found: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query, _, document, rank, score, _ = line.split()
            found[query].append((-float(score), int(rank), document))
        except ValueError:
            raise DataError(f"{path}:{number} is {line!r}. Must be: query Q0 document rank score tag.") from None
    return {query: [(document, -negative) for negative, _, document in sorted(rows)] for query, rows in found.items()}


def write_run(path: Path, run: Mapping[str, Sequence[tuple[str, float]]], tag: str) -> None:
    """Write a TREC run."""
    lines = [
        f"{query} Q0 {document} {rank} {score:.6g} {tag}"
        for query, rows in run.items()
        for rank, (document, score) in enumerate(rows, 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def bm25_run(collection: Collection, top: int = 100) -> Run:
    """BM25 made on the spot over title and text; documents without a common word are left out."""
    ids = list(collection.documents)
    index = Bm25([collection.documents[key].full for key in ids])
    indices, scores = index.search(list(collection.queries.values()), top)
    return {
        query: [(ids[n], float(score)) for n, score in zip(indices[row], scores[row], strict=True) if score > 0]
        for row, query in enumerate(collection.queries)
    }
