"""Cohere's `POST /v1/rerank` and `POST /v2/rerank`; on SageMaker the body says which, in `api_version`.

https://docs.cohere.com/v1/reference/rerank, https://docs.cohere.com/v2/reference/rerank, and cohere/aws_client.py: it
moves the version from the path into the body, takes `model` out, and needs a JSON object with a content type for every
answer, errors included. Version 2 never returns documents and by default reads 4,096 tokens of each; version 1 splits
long ones into at most 10 chunks. `priority` has no effect: requests are served in turn.
One search unit is a query with up to 100 documents or chunks.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, Ranking, RerankRequest, said, warnings_of
from rerank_engine.dialects.documents import read_documents
from rerank_engine.dialects.fields import Fields
from rerank_engine.errors import RerankError
from rerank_engine.types import RerankOptions, RerankResult
from rerank_engine.wire import echo

_V1_MAX_CHUNKS = 10
_V2_MAX_TOKENS = 4096
_PAIRS_PER_SEARCH_UNIT = 100
_V1 = ("query", "documents", "model", "top_n", "rank_fields", "return_documents", "max_chunks_per_doc")
_V2 = ("query", "documents", "model", "top_n", "max_tokens_per_doc", "priority", "return_documents", "relevant_spans")


class Cohere:
    """One version of Cohere's rerank API.

    Args:
        version: 1 or 2.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.name = f"cohere-v{version}"
        self.example = f'{{"api_version": {version}, "query": "…", "documents": ["…", "…"], "top_n": 1}}'
        fewer = 'a smaller "top_n", or fewer documents.'
        self.smaller = f'Send "return_documents": false, {fewer}' if version == 1 else f"Send {fewer}"

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        version = payload.get("api_version", self.version)
        if isinstance(version, bool) or version not in (1, 2, "1", "2"):
            fields.fault(("api_version",), "must be 1 or 2", "value", version)
        query = fields.plain(payload.get("query"), ("query",))
        top_n = fields.integer("top_n", low=1)
        fields.mark("model", "id")
        ranking, extras = (self._v1 if self.version == 1 else self._v2)(fields, query, top_n)
        fields.unknown((*(_V1 if self.version == 1 else _V2), "api_version", "id"))
        fields.done()
        return RerankRequest((ranking,), extras)

    def _v1(self, fields: Fields, query: str, top_n: int | None) -> tuple[Ranking, dict[str, object]]:
        originals, documents = read_documents(fields, "documents", rank_fields=fields.strings("rank_fields"))
        chunks = fields.integer("max_chunks_per_doc", low=1) or _V1_MAX_CHUNKS
        options = RerankOptions(top_n=top_n, max_chunks_per_document=chunks)
        wanted = fields.flag("return_documents", default=False)
        return Ranking(query, documents, options), {"originals": originals} if wanted else {}

    def _v2(self, fields: Fields, query: str, top_n: int | None) -> tuple[Ranking, dict[str, object]]:
        _, documents = read_documents(fields, "documents")
        tokens = fields.integer("max_tokens_per_doc", low=1) or _V2_MAX_TOKENS
        fields.integer("priority", low=0)
        fields.refuse("return_documents", "must be false: version 2 of the API never returns documents", False)
        fields.refuse("relevant_spans", "is not offered", {"mode": "disabled"})
        return Ranking(query, documents, RerankOptions(top_n=top_n, max_tokens_per_document=tokens)), {}

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        originals = request.extras.get("originals")
        (result,) = results
        ranked: list[dict[str, object]] = []
        for document in result.results:
            entry: dict[str, object] = {"index": document.index, "relevance_score": document.score}
            if isinstance(originals, list):
                original = echo(originals[document.index])
                entry["document"] = original if isinstance(original, Mapping) else {"text": original}
            ranked.append(entry)
        units = max(1, -(-result.usage.pairs // _PAIRS_PER_SEARCH_UNIT))
        meta: dict[str, object] = {
            "api_version": {"version": str(self.version)},
            "billed_units": {"search_units": units},
            "tokens": {"input_tokens": result.usage.total_tokens},
        }
        if warnings := warnings_of(results):
            meta["warnings"] = warnings
        return {"id": answer.id, "results": ranked, "meta": meta}

    def render_error(self, error: RerankError, request_id: str) -> object:
        """Flat, and always an object: the client puts a key into it."""
        return {"message": said(error), "id": request_id}
