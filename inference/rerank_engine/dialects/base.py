"""What a dialect is: one wire format, from the caller's JSON to the engine's values and back.

A dialect is recognised by the shape of the payload (see `recognition`). Once recognised it answers errors in its own
shape, too, those of its own parsing included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rerank_engine.errors import FieldError, InvalidRequest, RerankError
from rerank_engine.types import RerankOptions, RerankResult

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """One query and the documents to rank by it.

    Attributes:
        query: the query's text.
        documents: the documents' texts, in the caller's order.
        options: what the engine is asked for.
        at: where in the payload the options stand.
        query_at: where the query stands; None: under "query" there.
        documents_at: where the list of documents stands; None: under "documents" there.
        each_at: where each document stands, for payloads that have no such list.
    """

    query: str
    documents: tuple[str, ...]
    options: RerankOptions = field(default_factory=RerankOptions)
    at: Path = ()
    query_at: Path | None = None
    documents_at: Path | None = None
    each_at: tuple[Path, ...] = ()

    def located(self, error: InvalidRequest) -> InvalidRequest:
        """The engine's error about this ranking, with the caller's own names of the fields."""
        faults = [FieldError(self._path(fault.field), fault.message, fault.type, fault.input) for fault in error.fields]
        return invalid(faults, tip=error.tip) if faults else error

    def _path(self, path: Path) -> Path:
        if path[:1] == ("query",):
            return ((*self.at, "query") if self.query_at is None else self.query_at) + path[1:]
        if path[:1] == ("documents",):
            if self.each_at and len(path) > 1 and isinstance(path[1], int):
                return self.each_at[path[1]] + path[2:]
            return ((*self.at, "documents") if self.documents_at is None else self.documents_at) + path[1:]
        return self.at + path


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """One call as the engine takes it.

    Attributes:
        rankings: mostly one; formats of pairs, and calls with several queries, have more.
        extras: what only the dialect's own `render` needs: documents as they came, flags about the answer's shape.
    """

    rankings: tuple[Ranking, ...]
    extras: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says beside its scores.

    Attributes:
        model: the model's name.
        id: the answer's id, for dialects that have one; in JSON Lines and batch jobs the record's own, or its number:
            a job that runs twice writes the same bytes.
        created: seconds since the epoch; 0 in JSON Lines and batch jobs.
    """

    model: str
    id: str
    created: int = 0


class Dialect(Protocol):
    """One wire format. Stateless; every method is pure and runs on several threads at once."""

    @property
    def name(self) -> str:
        """Short name, for logs and error messages."""

    @property
    def example(self) -> str:
        """The smallest request, as one line of JSON: shown to a caller whose request no dialect knows."""

    @property
    def smaller(self) -> str:
        """How a caller asks for a smaller answer, in the dialect's own names: the tip when one is too large."""

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload.

        Raises:
            InvalidRequest: fields are missing, of a wrong type, out of bounds or unknown; all of them are listed.
        """

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer, long texts of the caller's marked by `wire.echo`.

        `results` has one for each of the request's rankings.
        """

    def render_error(self, error: RerankError, request_id: str) -> object:
        """The JSON value of an error, an object; must not fail, whatever the error."""


def said(error: RerankError) -> str:
    """The error's message and its tip in one breath."""
    return f"{error.message} {error.tip}" if error.tip else error.message


def invalid(faults: Sequence[FieldError], *, tip: str | None = None) -> InvalidRequest:
    """The error that lists these faults."""
    listed = "; ".join(f"{shown_path(fault.field)} {fault.message}" for fault in faults[:_MOST_LISTED])
    more = f"; and {len(faults) - _MOST_LISTED} more" if len(faults) > _MOST_LISTED else ""
    return InvalidRequest(f"{listed}{more}".rstrip(".") + ".", fields=tuple(faults), tip=tip)


def shorter(error: InvalidRequest, kept: int) -> InvalidRequest:
    """The error with the first of its faults, and how many are left out."""
    message = invalid(error.fields[:kept]).message.rstrip(".")
    left_out = f"; and {len(error.fields) - kept} more."
    return InvalidRequest(message + left_out, fields=error.fields[:kept], tip=error.tip)


def shown_path(path: Path) -> str:
    """'documents.3.text', as error messages name a field."""
    return f"'{'.'.join(map(str, path))}'" if path else "the body"


def warnings_of(results: Sequence[RerankResult]) -> list[str]:
    """What was cut, has no tokens or is mostly unknown, in words; empty when nothing is."""
    warnings = []
    if any(result.query_truncated for result in results):
        warnings.append("The query was cut to fit the model's window.")
    if any(result.query_unknown for result in results):
        warnings.append("More than half of the query's tokens are unknown to the model: its scores say little.")
    for result in results:
        if cut := result.truncated_documents:
            warnings.append(f"{len(cut)} of the documents were cut to fit: {_listed(cut)}.")
        if empty := result.empty_documents:
            warnings.append(
                f"{len(empty)} of the documents have no text that the model reads, and rank last: {_listed(empty)}."
            )
        if unknown := result.unknown_documents:
            what = "are mostly unknown to the model (more than half of their tokens), and their scores say little"
            warnings.append(f"{len(unknown)} of the documents {what}: {_listed(unknown)}.")
    return warnings


def _listed(indices: Sequence[int]) -> str:
    return ", ".join(map(str, indices[:_MOST_LISTED])) + (", …" if len(indices) > _MOST_LISTED else "")


_MOST_LISTED = 20
