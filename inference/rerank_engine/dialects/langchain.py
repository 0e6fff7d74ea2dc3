"""LangChain's SagemakerEndpointCrossEncoder: {"text_pairs": [[query, document], …]} -> {"scores": […]}, in order.

langchain_community/cross_encoders/sagemaker_endpoint.py. It has no error body of its own (any failure becomes a
ValueError with the service's text in it), so it gets ours.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, RerankRequest
from rerank_engine.dialects.fields import Fields
from rerank_engine.dialects.native import plain_error
from rerank_engine.dialects.pairs import rankings_of, scores_in_order
from rerank_engine.errors import RerankError
from rerank_engine.types import RerankOptions, RerankResult


class LangChain:
    """The dialect of LangChain's cross-encoder on SageMaker."""

    name = "langchain"
    example = '{"text_pairs": [["query", "document"], ["query", "document"]]}'
    smaller = 'Send fewer "text_pairs".'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        given = payload.get("text_pairs")
        pairs: list[tuple[str, str]] = []
        if given is None:
            fields.fault(("text_pairs",), "is missing", "missing")
        elif not isinstance(given, list) or not given:
            fields.fault(("text_pairs",), "must be a list of [query, document], not empty", "type", given)
        else:
            for number, pair in enumerate(given):
                if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
                    fields.fault(("text_pairs", number), "must be [query, document], two strings", "type", pair)
                else:
                    pairs.append((pair[0], pair[1]))
        fields.mark("id")
        fields.unknown(("text_pairs", "id"))
        fields.done()
        places = [(("text_pairs", number, 0), ("text_pairs", number, 1)) for number in range(len(pairs))]
        rankings = rankings_of(pairs, options=RerankOptions(order="input"), places=places)
        return RerankRequest(rankings, {"queries": [query for query, _ in pairs]})

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        queries = request.extras["queries"]
        assert isinstance(queries, list)
        return {"scores": scores_in_order(queries, request.rankings, results)}

    def render_error(self, error: RerankError, request_id: str) -> object:
        """Ours."""
        return plain_error(error, request_id)
