"""vLLM's rerank route, which looks like Jina's but for some of its options, and its error bodies.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html: `top_n: 0` keeps all, `use_activation: false`
gives logits, documents always come back as objects. `priority` has no effect: requests are served in turn.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, Ranking, RerankRequest, said
from rerank_engine.dialects.documents import read_documents
from rerank_engine.dialects.fields import Fields
from rerank_engine.errors import RequestError, RerankError, TooManyRequests
from rerank_engine.types import RerankOptions, RerankResult
from rerank_engine.wire import echo

SHARED = (
    *("model", "id", "request_id", "user", "truncate_prompt_tokens", "truncation_side", "use_activation"),
    *("activation", "softmax", "priority", "max_tokens_per_doc", "max_tokens_per_query"),
)


class VllmRerank:
    """The dialect of vLLM's /rerank."""

    name = "vllm-rerank"
    example = '{"query": "…", "documents": ["…", "…"], "use_activation": true}'
    smaller = 'Send a smaller "top_n", or fewer documents: this format always returns them.'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        query = fields.text(payload.get("query"), ("query",))
        _, documents = read_documents(fields, "documents")
        options = read_options(fields, top_n=fields.integer("top_n", low=0) or None)
        fields.unknown(("query", "documents", "top_n", *SHARED))
        fields.done()
        return RerankRequest((Ranking(query, documents, options),))

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        (ranking,), (result,) = request.rankings, results
        ranked = [
            {
                "index": document.index,
                "document": {"text": echo(ranking.documents[document.index])},
                "relevance_score": document.score,
            }
            for document in result.results
        ]
        total = result.usage.total_tokens
        usage = {"prompt_tokens": total, "total_tokens": total}
        return {"id": f"rerank-{answer.id}", "model": answer.model, "usage": usage, "results": ranked}

    def render_error(self, error: RerankError, request_id: str) -> object:
        """As the OpenAI API has it."""
        return openai_error(error)


def read_options(fields: Fields, *, top_n: int | None = None, in_order: bool = False) -> RerankOptions:
    """The options that vLLM's rerank and score routes share."""
    fields.mark("model", "id", "request_id", "user")
    window = "must be -1, the model's window; cap documents with max_tokens_per_doc"
    fields.refuse("truncate_prompt_tokens", window, -1)
    fields.refuse("truncation_side", "must be right: texts are cut at their end", "right")
    fields.integer("priority", low=-(2**63))
    activated = fields.flag("use_activation", "activation", "softmax", default=True)
    return RerankOptions(
        top_n=top_n,
        max_tokens_per_document=fields.integer("max_tokens_per_doc", low=0) or None,
        max_tokens_per_query=fields.integer("max_tokens_per_query", low=0) or None,
        score="sigmoid" if activated else "raw",
        order="input" if in_order else "score",
    )


def openai_error(error: RerankError) -> object:
    """{"error": {"message", "type", "param", "code"}}; code is the HTTP status."""
    kind = "BadRequestError" if isinstance(error, RequestError) else "InternalServerError"
    kind = "RateLimitError" if isinstance(error, TooManyRequests) else kind
    return {"error": {"message": said(error), "type": kind, "param": None, "code": error.status}}
