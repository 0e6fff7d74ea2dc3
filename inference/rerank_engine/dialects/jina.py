"""Jina's `POST /v1/rerank`: request, response and error bodies.

https://api.jina.ai/redoc: documents and query are strings or {"text": …}; `document` in the answer echoes what the
caller sent and is left out, not null, with `return_documents: false`; scores are sigmoids rounded to 8 decimals.
Beyond Jina: `id` (a string or a number) comes back with the answer, so that the lines of a batch can be joined, and
`warnings` says what was cut. Other keys of a document object are echoed, never scored. LangChain, LlamaIndex and
Haystack raise `response["detail"]`, so every error body has one.
"""

from rerank_engine.dialects.base import RerankRequest
from rerank_engine.dialects.fields import Fields
from rerank_engine.errors import InvalidRequest, RerankError
from rerank_engine.types import RerankOptions, RerankResult

_ACCEPTED = (
    *("query", "documents", "model", "top_n", "return_documents", "max_doc_length", "max_tokens_per_doc"),
    *("truncate", "truncation", "return_embeddings", "id"),
)
_MOST_LISTED = 20


class Jina:
    """The dialect of Jina's reranker API."""

    name = "jina"
    example = '{"query": "…", "documents": ["…", "…"], "top_n": 1}'

    def matches(self, payload: object) -> bool:
        """Whether it is an object with a query or documents."""
        return isinstance(payload, dict) and ("query" in payload or "documents" in payload)

    def parse(self, payload: object) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        if not isinstance(payload, dict):
            raise InvalidRequest("The body must be a JSON object.")
        fields = Fields(payload)
        query = fields.text(payload.get("query"), ("query",))
        originals, documents = self._documents(fields)
        options = RerankOptions(
            top_n=fields.integer("top_n", low=1),
            max_tokens_per_document=fields.integer("max_doc_length", "max_tokens_per_doc", low=1),
            truncate=fields.flag("truncate", "truncation", default=True),
        )
        return_documents = fields.flag("return_documents", default=True)
        if fields.flag("return_embeddings", default=False):
            fields.fault(("return_embeddings",), "must be false: this model has no embeddings", "value", True)
        for name, kinds, wanted in (("model", str, "a string"), ("id", (str, int, float), "a string or a number")):
            value = payload.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
                fields.fault((name,), f"must be {wanted}", "type", value)
        fields.unknown(_ACCEPTED)
        fields.done()
        extras = {"id": payload.get("id"), "originals": originals if return_documents else None}
        return RerankRequest(query, documents, options, extras)

    def _documents(self, fields: Fields) -> tuple[list[object], tuple[str, ...]]:
        originals = fields.values.get("documents")
        if originals is None:
            fields.fault(("documents",), "is missing", "missing")
        elif not isinstance(originals, list):
            fields.fault(("documents",), "must be a list", "type", originals)
        elif not originals:
            fields.fault(("documents",), "must hold at least one document", "value", originals)
        else:
            texts = (
                one if isinstance(one, str) else fields.text(one, ("documents", position))
                for position, one in enumerate(originals)
            )
            return originals, tuple(texts)
        return [], ()

    def render(self, request: RerankRequest, result: RerankResult, model_name: str) -> object:
        """The JSON value of an answer."""
        originals = request.extras.get("originals")
        results: list[dict[str, object]] = []
        for document in result.results:
            entry: dict[str, object] = {"index": document.index, "relevance_score": round(document.score, 8)}
            if isinstance(originals, list):
                entry["document"] = originals[document.index]
            results.append(entry)
        total = result.usage.total_tokens
        answer: dict[str, object] = {} if request.extras.get("id") is None else {"id": request.extras["id"]}
        answer |= {"model": model_name, "object": "list", "usage": {"total_tokens": total, "prompt_tokens": total}}
        answer["results"] = results
        if warnings := _warnings(result):
            answer["warnings"] = warnings
        return answer

    def render_error(self, error: RerankError, request_id: str) -> object:
        """`detail` is text for 422, as Jina's validation layer has it, and an object for everything else."""
        message = f"{error.message} {error.tip}" if error.tip else error.message
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


def _warnings(result: RerankResult) -> list[str]:
    warnings = ["The query was cut to fit the model's window."] if result.query_truncated else []
    if cut := result.truncated_documents:
        listed = ", ".join(str(index) for index in cut[:_MOST_LISTED]) + (", …" if len(cut) > _MOST_LISTED else "")
        warnings.append(f"{len(cut)} of the documents were cut to fit: {listed}.")
    return warnings
