"""What a request may ask: checked before anything is tokenised."""

import unicodedata
from collections.abc import Sequence

from rerank_engine.errors import FieldError, InvalidRequest
from rerank_engine.types import RerankOptions

_SHOWN = 8
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})  # control and format characters, all kinds of spaces
_LOWEST = {
    "top_n": 1,
    "max_tokens_per_document": 1,
    "max_tokens_per_query": 1,
    "max_chunks_per_document": 1,
    "chunk_tokens": 1,
    "chunk_overlap": 0,
    "aggregate_top_k": 1,
}


def check_request(
    query: str, documents: Sequence[str], options: RerankOptions, *, max_documents: int, calibrated: bool
) -> None:
    """Raise InvalidRequest, naming every wrong field, unless the request can be scored.

    Empty documents can be: they are ranked last. A query must have something to look for. `calibrated` says whether the
    bundle has a calibration.
    """
    wrong = [*_query(query), *_documents(documents, max_documents), *_options(options)]
    if options.score == "calibrated" and not calibrated:
        message = 'is "calibrated", but this bundle has no calibration. Fit one with `rerank calibrate`, or ask for'
        wrong.append(FieldError(field=("score",), message=f'{message} "sigmoid" or "raw".', type="value"))
    if wrong:
        where = "; ".join(f"{'.'.join(map(str, one.field))}: {one.message}" for one in wrong[:_SHOWN])
        raise InvalidRequest(f"Invalid request: {where}", fields=tuple(wrong))


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen, although some tokenizers make tokens of blanks."""
    return all(unicodedata.category(sign) in _INVISIBLE for sign in text.strip())


def empty_query(query: str) -> FieldError:
    """The fault of a query without anything that the model reads."""
    return FieldError(
        field=("query",), message="is empty: the model reads nothing of it", type="value", input=query[:40]
    )


def too_long(lengths: dict[tuple[str | int, ...], tuple[int, int]]) -> InvalidRequest:
    """The error for texts that do not fit and must not be cut: field -> (its tokens, the tokens it may have)."""
    fields = tuple(
        FieldError(field=field, message=f"has {tokens} tokens, {limit} fit", type="value", input=tokens)
        for field, (tokens, limit) in lengths.items()
    )
    where = "; ".join(f"{'.'.join(map(str, one.field))} {one.message}" for one in fields[:_SHOWN])
    more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
    return InvalidRequest(f"Too long to score without truncation: {where}{more}.", fields=fields)


def _query(query: object) -> list[FieldError]:
    if not isinstance(query, str):
        return [_wrong_type(("query",), query, "a string")]
    return [empty_query(query)] if is_blank(query) else []


def _documents(documents: object, max_documents: int) -> list[FieldError]:
    if isinstance(documents, str | bytes) or not isinstance(documents, Sequence):
        return [_wrong_type(("documents",), documents, "a list of strings")]
    if not documents:
        return [FieldError(field=("documents",), message="is empty. Give at least one.", type="value", input=[])]
    if len(documents) > max_documents:
        message = f"has {len(documents)} documents. At most {max_documents} are taken in one request."
        return [FieldError(field=("documents",), message=message, type="value", input=len(documents))]
    return [
        _wrong_type(("documents", index), document, "a string")
        for index, document in enumerate(documents)
        if not isinstance(document, str)
    ]


def _options(options: RerankOptions) -> list[FieldError]:
    return [
        FieldError(field=(name,), message=f"is {value}. Must be at least {low}.", type="value", input=value)
        for name, low in _LOWEST.items()
        if (value := getattr(options, name)) is not None and value < low
    ]


def _wrong_type(field: tuple[str | int, ...], value: object, expected: str) -> FieldError:
    return FieldError(field=field, message=f"is {type(value).__name__}. Must be {expected}.", type="type")
