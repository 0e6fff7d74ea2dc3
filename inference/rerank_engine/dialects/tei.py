"""The rerank route of Hugging Face's text-embeddings-inference: {query, texts}.

https://huggingface.github.io/text-embeddings-inference/ and router/src/http/types.rs. Answers are a bare list, best
first; `raw_scores` gives logits, `return_text` the texts. Ties keep the caller's order here; there they come reversed.
Texts are cut at their end only (`truncation_direction: right`).
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, Ranking, RerankRequest, said
from rerank_engine.dialects.documents import read_documents
from rerank_engine.dialects.fields import Fields
from rerank_engine.errors import NotReady, RequestError, RerankError, TooManyRequests, Unavailable
from rerank_engine.types import RerankOptions, RerankResult
from rerank_engine.wire import echo

_ACCEPTED = ("query", "texts", "truncate", "truncation_direction", "raw_scores", "return_text", "id")


class Tei:
    """The dialect of text-embeddings-inference."""

    name = "tei"
    example = '{"query": "…", "texts": ["…", "…"]}'
    smaller = 'Send "return_text": false, or fewer "texts".'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        query = fields.plain(payload.get("query"), ("query",))
        _, texts = read_documents(fields, "texts", objects=False)
        options = RerankOptions(
            truncate=fields.flag("truncate", default=True),
            score="raw" if fields.flag("raw_scores", default=False) else "sigmoid",
        )
        fields.refuse("truncation_direction", "must be right: texts are cut at their end", "right", "Right")
        keep = fields.flag("return_text", default=False)
        fields.mark("id")
        fields.unknown(_ACCEPTED)
        fields.done()
        return RerankRequest((Ranking(query, texts, options, documents_at=("texts",)),), {"return_text": keep})

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        (ranking,), (result,) = request.rankings, results
        if not request.extras.get("return_text"):
            return [{"index": document.index, "score": document.score} for document in result.results]
        return [
            {"index": document.index, "text": echo(ranking.documents[document.index]), "score": document.score}
            for document in result.results
        ]

    def render_error(self, error: RerankError, request_id: str) -> object:
        """With the error's kind as text-embeddings-inference names it."""
        if isinstance(error, NotReady):
            kind = "Unhealthy"
        elif isinstance(error, Unavailable | TooManyRequests):
            kind = "Overloaded"
        else:
            kind = "Validation" if isinstance(error, RequestError) else "Backend"
        return {"error": said(error), "error_type": kind}
