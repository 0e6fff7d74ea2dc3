"""What a dialect is: one wire format, from the caller's JSON to the engine's values and back.

A dialect is recognised by the shape of the payload, never by a path or a header: SageMaker offers one path and strips
headers. Once recognised it answers errors in its own shape, too, those of its own parsing included.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rerank_engine.errors import RerankError
from rerank_engine.types import RerankOptions, RerankResult


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """One rerank call as the engine takes it.

    Attributes:
        query: the query's text.
        documents: the documents' texts, in the caller's order.
        options: what the engine is asked for.
        extras: what only the dialect's own `render` needs: documents as they came, flags about the answer's shape.
    """

    query: str
    documents: tuple[str, ...]
    options: RerankOptions = field(default_factory=RerankOptions)
    extras: Mapping[str, object] = field(default_factory=dict)


class Dialect(Protocol):
    """One wire format. Stateless; every method is pure and runs on several threads at once."""

    @property
    def name(self) -> str:
        """Short name, for logs and error messages."""

    @property
    def example(self) -> str:
        """The smallest request, as one line of JSON: shown to a caller whose request no dialect knows."""

    def matches(self, payload: object) -> bool:
        """Whether a payload has this dialect's shape. Cheap, and true for faulty requests that were meant so."""

    def parse(self, payload: object) -> RerankRequest:
        """The request in a payload.

        Raises:
            InvalidRequest: fields are missing, of a wrong type, out of bounds or unknown; all of them are listed.
        """

    def render(self, request: RerankRequest, result: RerankResult, model_name: str) -> object:
        """The JSON value of an answer."""

    def render_error(self, error: RerankError, request_id: str) -> object:
        """The JSON value of an error; must not fail, whatever the error."""
