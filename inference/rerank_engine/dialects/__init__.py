"""The wire formats callers speak, and how a payload finds its own."""

from rerank_engine.dialects.base import Dialect, RerankRequest
from rerank_engine.dialects.fields import shown
from rerank_engine.dialects.jina import Jina
from rerank_engine.errors import FieldError, InvalidRequest

__all__ = ["DEFAULT", "DIALECTS", "Dialect", "RerankRequest", "recognise"]

DIALECTS: tuple[Dialect, ...] = (Jina(),)
"""In order of recognition: the first that matches takes the payload."""

DEFAULT: Dialect = DIALECTS[0]
"""Whose error bodies answer a request that no dialect recognises."""


def recognise(payload: object) -> Dialect:
    """The dialect of a payload, by its shape.

    Raises:
        InvalidRequest: no dialect has this shape; the tip shows one request of each.
    """
    for dialect in DIALECTS:
        if dialect.matches(payload):
            return dialect
    examples = "; ".join(f"{dialect.name}: {dialect.example}" for dialect in DIALECTS)
    fault = FieldError((), "has none of the known shapes", "value", shown(payload))
    raise InvalidRequest("The body has none of the known shapes.", fields=(fault,), tip=f"Send {examples}.")
