"""The CSV rows of jina-sagemaker's batch jobs: `id,query,documents,top_n`, without a header, documents as JSON.

Two forms are in use. The published samples escape with backslashes and quote nothing:
    07937cd6,where's the dog,[{\\"text\\": \\"in my house\\"}\\, {\\"text\\": \\"cat\\"}],2
What writes CSV properly quotes every field and doubles the quotes within:
    "07937cd6","where's the dog","[{""text"": ""in my house""}, {""text"": ""cat""}]","2"
The client's own helper reads the first as if it were the second and writes documents torn at their commas, backslashes
kept; that is put together again, too. id and top_n may be missing. A row is a line: JSON needs no line break within.
"""

import csv
import re
from collections.abc import Iterator

from rerank_engine import wire
from rerank_engine.dialects.fields import shown
from rerank_engine.errors import FieldError, InvalidRequest, MalformedBody, RerankError

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FORM = 'A row is id,query,documents,top_n; documents is JSON: "07","a query","[{""text"": ""…""}]","2"'


def payload_of(row: str) -> object:
    """The payload of one row, in jina-sagemaker's envelope.

    Raises:
        MalformedBody: the row is empty.
        InvalidRequest: it has not the columns that it should have, or documents that are not a JSON list.
    """
    if not row or row.isspace():
        raise MalformedBody("The row is empty.", tip=_FORM + ".")
    text = row.strip("\r\n")
    for columns in _readings(text):
        found = _columns(columns)
        if found is not None:
            return {"data": found}
    fault = FieldError((), "is not a row of this form", "value", shown(text))
    raise InvalidRequest("The row has no list of documents in it.", fields=(fault,), tip=_FORM + ".")


def _readings(text: str) -> Iterator[list[str]]:
    """The row's columns, by each of the forms it may have."""
    quoted = {"doublequote": True, "strict": False}
    escaped = {"quoting": csv.QUOTE_NONE, "escapechar": "\\"}
    forms = [quoted, escaped] if text.lstrip().startswith('"') or '\\"' not in text else [escaped, quoted]
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    for form in forms:
        try:
            rows = list(csv.reader([text], skipinitialspace=True, **form))  # type: ignore[arg-type]
        except csv.Error:
            continue
        if len(rows) == 1:
            yield rows[0]


def _columns(columns: list[str]) -> dict[str, object] | None:
    """id, query, documents and top_n; None unless the documents are a JSON list."""
    first = next((number for number in (2, 1) if columns[number : number + 1] and _opens(columns[number])), None)
    if first is None:
        return None
    rest = columns[first:]
    top_n = rest.pop().strip() if len(rest) > 1 and not rest[-1].rstrip().endswith("]") else ""
    joined = ",".join(rest)
    for text in (joined, _ESCAPED.sub(r"\1", joined)):
        try:
            documents = wire.loads(text)
        except RerankError:
            continue
        if isinstance(documents, list):
            identity = {"id": columns[0]} if first == 2 else {}
            return {**identity, "query": columns[first - 1], "documents": documents, "top_n": _whole(top_n)}
    return None


def _opens(column: str) -> bool:
    return column.lstrip().startswith("[")


def _whole(text: str) -> object:
    """`text` as a number if it is one; what is none is left to the dialect to refuse."""
    return None if not text else int(text) if re.fullmatch(r"-?\d{1,18}", text) else text
