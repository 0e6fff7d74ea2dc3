"""Elasticsearch's inference service `amazon_sagemaker` with the api "elastic": {input, query}.

x-pack/plugin/inference/…/sagemaker/schema/elastic/ElasticRerankPayload.java: documents stand under "input", a single
one may be a string; `task_settings` are those of the inference endpoint, and the call's own go before them.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, Ranking, RerankRequest, said
from rerank_engine.dialects.documents import read_documents
from rerank_engine.dialects.fields import Fields
from rerank_engine.errors import RequestError, RerankError
from rerank_engine.types import RerankOptions, RerankResult
from rerank_engine.wire import echo

_SETTINGS = ("return_documents", "top_n")


class Elasticsearch:
    """The dialect of Elasticsearch's inference service."""

    name = "elasticsearch"
    example = '{"input": ["…", "…"], "query": "…"}'
    smaller = 'Send "return_documents": false, a smaller "top_n", or fewer texts in "input".'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        query = fields.plain(payload.get("query"), ("query",))
        _, documents = read_documents(fields, "input", objects=False, single=True)
        standing = payload.get("task_settings")
        if standing is not None and not isinstance(standing, Mapping):
            fields.fault(("task_settings",), "must be an object", "type", standing)
        settings = Fields(standing if isinstance(standing, Mapping) else {}, ("task_settings",), fields.errors)
        standing_top_n = settings.integer("top_n", low=1)
        options = RerankOptions(top_n=fields.integer("top_n", low=1) or standing_top_n)
        keep = fields.flag("return_documents", default=settings.flag("return_documents", default=False))
        settings.unknown(_SETTINGS)
        fields.mark("id")
        fields.unknown(("input", "query", "task_settings", "id", *_SETTINGS))
        fields.done()
        return RerankRequest((Ranking(query, documents, options, documents_at=("input",)),), {"text": keep})

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        (ranking,), (result,) = request.rankings, results
        ranked: list[dict[str, object]] = [
            {"index": document.index, "relevance_score": document.score} for document in result.results
        ]
        if request.extras.get("text"):
            for entry, document in zip(ranked, result.results, strict=True):
                entry["text"] = echo(ranking.documents[document.index])
        return {"rerank": ranked}

    def render_error(self, error: RerankError, request_id: str) -> object:
        """As Elasticsearch says errors."""
        return search_engine_error(error)


def search_engine_error(error: RerankError) -> object:
    """{"error": {"type", "reason"}, "status"}: the form that Elasticsearch and OpenSearch have in common."""
    kind = "illegal_argument_exception" if isinstance(error, RequestError) else "status_exception"
    return {"error": {"type": kind, "reason": said(error), "code": error.code}, "status": error.status}
