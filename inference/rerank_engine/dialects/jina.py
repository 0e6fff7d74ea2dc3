"""Jina's `POST /v1/rerank`: request, response and error bodies.

https://api.jina.ai/redoc: documents and query are strings or {"text": …}; `document` in the answer echoes what the
caller sent and is left out, not null, with `return_documents: false`; scores are sigmoids rounded to 8 decimals.
Beyond Jina: `id` (a string or a number) comes back with the answer, so that the lines of a batch can be joined, and
`warnings` says what was cut. Other keys of a document object are echoed, never scored. LangChain, LlamaIndex and
Haystack raise `response["detail"]`, so every error body has one.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, Ranking, RerankRequest, said, warnings_of
from rerank_engine.dialects.documents import read_documents
from rerank_engine.dialects.fields import Fields
from rerank_engine.errors import InvalidRequest, RerankError
from rerank_engine.types import RerankOptions, RerankResult
from rerank_engine.wire import echo

_ACCEPTED = (
    *("query", "documents", "model", "top_n", "return_documents", "max_doc_length", "max_tokens_per_doc"),
    *("truncate", "truncation", "return_embeddings", "id"),
)
_ELSEWHERE = dict.fromkeys(
    ("score", "score_threshold", "order", "aggregate", "chunk_tokens", "chunk_overlap"),
    'wrap the request for it: {"rerank": {"query": …, "documents": […], …}}',
)


class Jina:
    """The dialect of Jina's reranker API."""

    name = "jina"
    example = '{"query": "…", "documents": ["…", "…"], "top_n": 1}'
    smaller = 'Send "return_documents": false, a smaller "top_n", or fewer documents.'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        query = fields.text(payload.get("query"), ("query",))
        originals, documents = read_documents(fields, "documents")
        options = RerankOptions(
            top_n=fields.integer("top_n", low=1),
            max_tokens_per_document=fields.integer("max_doc_length", "max_tokens_per_doc", low=1),
            truncate=fields.flag("truncate", "truncation", default=True),
        )
        return_documents = fields.flag("return_documents", default=True)
        if fields.flag("return_embeddings", default=False):
            fields.fault(("return_embeddings",), "must be false: this model has no embeddings", "value", True)
        if not isinstance(payload.get("model"), str | None):
            fields.fault(("model",), "must be a string", "type", payload["model"])
        fields.mark("id")
        fields.unknown(_ACCEPTED, _ELSEWHERE)
        fields.done()
        extras = {"id": payload.get("id"), "originals": originals if return_documents else None}
        return RerankRequest((Ranking(query, documents, options),), extras)

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        originals = request.extras.get("originals")
        (result,) = results
        ranked: list[dict[str, object]] = []
        for document in result.results:
            entry: dict[str, object] = {"index": document.index, "relevance_score": round(document.score, 8)}
            if isinstance(originals, list):
                entry["document"] = echo(originals[document.index])
            ranked.append(entry)
        total = result.usage.total_tokens
        body: dict[str, object] = {} if request.extras.get("id") is None else {"id": request.extras["id"]}
        body |= {"model": answer.model, "object": "list", "usage": {"total_tokens": total, "prompt_tokens": total}}
        body["results"] = ranked
        if warnings := warnings_of(results):
            body["warnings"] = warnings
        return body

    def render_error(self, error: RerankError, request_id: str) -> dict[str, object]:
        """`detail` is text for 422, as Jina's validation layer has it, and an object for everything else."""
        message = said(error)
        if not isinstance(error, InvalidRequest):
            return {"detail": {"message": message, "request_id": request_id, "code": error.code}}
        errors = [
            {
                "field": " -> ".join(str(part) for part in ("body", *fault.field)),
                "message": fault.message,
                "type": fault.type,
                "input": fault.input,
            }
            for fault in error.fields
        ]
        return {"detail": f"Validation error: {message}", "request_id": request_id, "errors": errors}
