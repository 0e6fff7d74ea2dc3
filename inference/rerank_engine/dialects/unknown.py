"""Errors of calls of which no dialect is known: nothing was read yet, or what was read tells nothing.

On /invocations that is a wrong content type, a body that is too large, late or not JSON, a model that is not ready, a
full queue. The body is Jina's, with the other keys beside it under which known clients look for the reason: `message`
(cohere's, Hugging Face's), `error` (text-embeddings-inference, ours, OpenAI's), `detail` (LangChain, LlamaIndex,
Haystack); always an object, because cohere's client writes into it. A long tip stands under `detail` alone.
"""

from rerank_engine.dialects.base import said
from rerank_engine.dialects.jina import Jina
from rerank_engine.errors import RerankError

_SHORT_CHARACTERS = 300


class Unknown(Jina):
    """No dialect in particular, with an error body that the clients of all can read."""

    name = "unknown"

    def render_error(self, error: RerankError, request_id: str) -> dict[str, object]:
        """The reason under every name."""
        whole = said(error)
        message = whole if len(whole) <= _SHORT_CHARACTERS else error.message
        beside = {"message": message, "error": message, "code": error.code, "status": error.status, "id": request_id}
        body = super().render_error(error, request_id)
        return {**body, "request_id": request_id, **beside}
