"""vLLM's `POST /score`: one query for all documents, or as many queries as documents; scores in order.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html: each side has three names, and either may be a
single string.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, RerankRequest
from rerank_engine.dialects.fields import Fields
from rerank_engine.dialects.pairs import rankings_of, scores_in_order
from rerank_engine.dialects.vllm import SHARED, openai_error, read_options
from rerank_engine.errors import RerankError
from rerank_engine.types import RerankResult

QUERIES = ("queries", "text_1", "data_1")
DOCUMENTS = ("documents", "items", "text_2", "data_2")


class VllmScore:
    """The dialect of vLLM's /score."""

    name = "vllm-score"
    example = '{"text_1": "query", "text_2": ["document", "document"]}'
    smaller = "Send fewer documents."

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        queries, queries_at = _side(fields, QUERIES)
        documents, documents_at = _side(fields, DOCUMENTS)
        if queries and documents and len(queries) not in (1, len(documents)):
            message = f"has {len(queries)} texts for {len(documents)} documents: give one, or as many"
            fields.fault((queries_at,), message, "value", len(queries))
        options = read_options(fields, in_order=True)
        fields.unknown((*QUERIES, *DOCUMENTS, *SHARED))
        fields.done()
        if len(queries) == 1:
            queries = queries * len(documents)
        lone = not isinstance(payload[queries_at], list)
        places = [
            ((queries_at,) if lone else (queries_at, number), (documents_at, number))
            for number in range(len(documents))
        ]
        rankings = rankings_of(zip(queries, documents, strict=True), options=options, places=places)
        return RerankRequest(rankings, {"queries": queries})

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        queries = request.extras["queries"]
        assert isinstance(queries, list)
        scores = scores_in_order(queries, request.rankings, results)
        total = sum(result.usage.total_tokens for result in results)
        return {
            "id": f"score-{answer.id}",
            "object": "list",
            "created": answer.created,
            "model": answer.model,
            "data": [{"index": index, "object": "score", "score": score} for index, score in enumerate(scores)],
            "usage": {"prompt_tokens": total, "total_tokens": total},
        }

    def render_error(self, error: RerankError, request_id: str) -> object:
        """As the OpenAI API has it."""
        return openai_error(error)


def _side(fields: Fields, names: Sequence[str]) -> tuple[list[str], str]:
    """The texts under one of the names, and that name."""
    given = [name for name in names if fields.values.get(name) is not None]
    if not given:
        fields.fault((names[0],), f"is missing (or {', '.join(names[1:])})", "missing")
        return [], names[0]
    name = given[0]
    for other in given[1:]:
        fields.fault((other,), f"stands for the same as {name}: give one of them", "value")
    value = fields.values[name]
    if isinstance(value, list) and value:
        return [fields.text(one, (name, number)) for number, one in enumerate(value)], name
    if isinstance(value, list):
        fields.fault((name,), "must hold at least one text", "value", value)
        return [], name
    return [fields.text(value, (name,))], name
