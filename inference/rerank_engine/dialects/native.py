"""Our own format, with every option: {"rerank": {…}} for one query, {"rerank": [{…}, {…}]} for several.

One request has `query` (or `queries`: each ranks the same documents), `documents` (strings or objects) and, if wanted:
  top_n, order (score | input), score (sigmoid | raw | calibrated), score_threshold, return_documents, rank_fields,
  max_tokens_per_doc, max_tokens_per_query, truncate,
  max_chunks_per_doc, chunk_tokens, chunk_overlap, aggregate (max | mean_top_k), aggregate_top_k, id.
Each result tells its score, its logit, the tokens read, and of a split document the chunk that won and its characters.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from rerank_engine.dialects.base import Answer, Ranking, RerankRequest, said, warnings_of
from rerank_engine.dialects.documents import read_documents
from rerank_engine.dialects.fields import Fields
from rerank_engine.errors import InvalidRequest, RerankError
from rerank_engine.types import RankedDocument, RerankOptions, RerankResult, Usage
from rerank_engine.wire import echo

_OPTIONS = (
    *("top_n", "order", "score", "score_threshold", "return_documents", "rank_fields", "max_tokens_per_doc"),
    *("max_tokens_per_query", "truncate", "max_chunks_per_doc", "chunk_tokens", "chunk_overlap", "aggregate"),
    *("aggregate_top_k", "id"),
)


class Native:
    """The dialect with every option."""

    name = "native"
    example = '{"rerank": {"query": "…", "documents": ["…"], "score": "raw", "order": "input"}}'
    smaller = 'Send "return_documents": false, a smaller "top_n", or fewer documents.'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        outer = Fields(payload)
        given = payload.get("rerank")
        calls = given if isinstance(given, list) else [given]
        if not calls:
            outer.fault(("rerank",), "must hold at least one request", "value", given)
        rankings: list[Ranking] = []
        kept: list[dict[str, object]] = []
        for number, call in enumerate(calls):
            at = ("rerank", number) if isinstance(given, list) else ("rerank",)
            if not isinstance(call, Mapping):
                outer.fault(at, 'must be an object: {"query": "…", "documents": […]}', "type", call)
                continue
            for ranking, extras in _read(Fields(call, at, outer.errors)):
                rankings.append(ranking)
                kept.append(extras)
        outer.mark("model", "id")
        outer.unknown(("rerank", "model", "id"))
        outer.done()
        many = isinstance(given, list) or "queries" in cast(Mapping[str, object], given)
        return RerankRequest(tuple(rankings), {"kept": kept, "many": many, "id": payload.get("id")})

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        kept = cast(list[dict[str, object]], request.extras["kept"])
        answers = [_answer(result, extras) for result, extras in zip(results, kept, strict=True)]
        body: dict[str, object] = {} if request.extras.get("id") is None else {"id": request.extras["id"]}
        body["model"] = answer.model
        if not request.extras["many"]:
            return body | answers[0]
        total = Usage(
            query_tokens=sum(result.usage.query_tokens for result in results),
            document_tokens=sum(result.usage.document_tokens for result in results),
            total_tokens=sum(result.usage.total_tokens for result in results),
            pairs=sum(result.usage.pairs for result in results),
        )
        return body | {"answers": answers, "usage": _usage(total)}

    def render_error(self, error: RerankError, request_id: str) -> object:
        """Flat: message, code, status and the faults of a 422."""
        return plain_error(error, request_id)


def plain_error(error: RerankError, request_id: str) -> object:
    """Our own error body."""
    body: dict[str, object] = {"error": said(error), "code": error.code, "status": error.status}
    body["request_id"] = request_id
    if isinstance(error, InvalidRequest) and error.fields:
        body["errors"] = [{"field": list(fault.field), "message": fault.message} for fault in error.fields]
    return body


def _read(fields: Fields) -> list[tuple[Ranking, dict[str, object]]]:
    values = fields.values
    several = values.get("queries")
    if several is None:
        queries, places = [fields.text(values.get("query"), ("query",))], [(*fields.at, "query")]
    elif not isinstance(several, list) or not several or values.get("query") is not None:
        fields.fault(("queries",), "must be a list of queries, not empty, and stand instead of query", "value", several)
        queries, places = [], []
    else:
        queries = [fields.text(one, ("queries", number)) for number, one in enumerate(several)]
        places = [(*fields.at, "queries", number) for number in range(len(several))]
    originals, documents = read_documents(fields, "documents", rank_fields=fields.strings("rank_fields"))
    options = _options(fields)
    keep = fields.flag("return_documents", default=False)
    fields.mark("id")
    fields.unknown(("query", "queries", "documents", *_OPTIONS))
    extras = {"id": values.get("id"), "originals": originals if keep else None}
    return [
        (Ranking(query, documents, options, at=fields.at, query_at=place), extras)
        for query, place in zip(queries, places, strict=True)
    ]


def _options(fields: Fields) -> RerankOptions:
    return RerankOptions(
        top_n=fields.integer("top_n", low=1),
        max_tokens_per_document=fields.integer("max_tokens_per_doc", low=1),
        truncate=fields.flag("truncate", default=True),
        max_tokens_per_query=fields.integer("max_tokens_per_query", low=1),
        max_chunks_per_document=fields.integer("max_chunks_per_doc", low=1),
        chunk_tokens=fields.integer("chunk_tokens", low=1),
        chunk_overlap=fields.integer("chunk_overlap", low=0),
        aggregate=fields.choice("aggregate", ("max", "mean_top_k"), "max"),  # type: ignore[arg-type]
        aggregate_top_k=fields.integer("aggregate_top_k", low=1) or RerankOptions().aggregate_top_k,
        score=fields.choice("score", ("sigmoid", "raw", "calibrated"), "sigmoid"),  # type: ignore[arg-type]
        score_threshold=fields.number("score_threshold"),
        order=fields.choice("order", ("score", "input"), "score"),  # type: ignore[arg-type]
        locate=True,
    )


def _answer(result: RerankResult, extras: Mapping[str, object]) -> dict[str, object]:
    originals = extras["originals"]
    answer: dict[str, object] = {} if extras["id"] is None else {"id": extras["id"]}
    answer["results"] = [_entry(document, originals) for document in result.results]
    answer["usage"] = _usage(result.usage)
    if warnings := warnings_of([result]):
        answer["warnings"] = warnings
    return answer


def _entry(document: RankedDocument, originals: object) -> dict[str, object]:
    entry: dict[str, object] = {
        "index": document.index,
        "score": document.score,
        "logit": document.logit,
        "tokens": document.tokens,
        "truncated": document.truncated,
    }
    if document.chunks > 1 or document.truncated:
        start, end = document.span or (None, None)
        entry["chunks"] = document.chunks
        entry["best_chunk"] = {"index": document.best_chunk, "start": start, "end": end}
    if isinstance(originals, list):
        entry["document"] = echo(originals[document.index])
    return entry


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "query_tokens": usage.query_tokens,
        "document_tokens": usage.document_tokens,
        "total_tokens": usage.total_tokens,
        "pairs": usage.pairs,
    }
