"""OpenSearch's text similarity: {query_text, text_docs}, the body of its own predict API, answered per document.

https://docs.opensearch.org/latest/ml-commons-plugin/api/train-predict/predict/ (text_similarity). A connector sends it
with `"request_body": "{\"query_text\": \"${parameters.query_text}\", \"text_docs\": ${parameters.text_docs}}"`; the
answer is what its post_process_function has to end with, a tensor for each document in the order they came.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, Ranking, RerankRequest
from rerank_engine.dialects.documents import read_documents
from rerank_engine.dialects.elasticsearch import search_engine_error
from rerank_engine.dialects.fields import Fields
from rerank_engine.errors import RerankError
from rerank_engine.types import RerankOptions, RerankResult


class OpenSearch:
    """The dialect of OpenSearch's text similarity models."""

    name = "opensearch"
    example = '{"query_text": "…", "text_docs": ["…", "…"]}'
    smaller = 'Send fewer "text_docs".'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        query = fields.plain(payload.get("query_text"), ("query_text",))
        _, documents = read_documents(fields, "text_docs", objects=False)
        fields.mark("id")
        fields.unknown(("query_text", "text_docs", "id"))
        fields.done()
        options = RerankOptions(order="input")
        ranking = Ranking(query, documents, options, query_at=("query_text",), documents_at=("text_docs",))
        return RerankRequest((ranking,))

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        (result,) = results
        return [
            {"name": "similarity", "data_type": "FLOAT32", "shape": [1], "data": [document.score]}
            for document in result.results
        ]

    def render_error(self, error: RerankError, request_id: str) -> object:
        """As OpenSearch says errors."""
        return search_engine_error(error)
