"""The envelope of Jina's containers on the AWS Marketplace, as the jina-sagemaker client sends it and reads it.

https://github.com/jina-ai/jina-sagemaker: {"data": {…}}, or {"data": [{…}, …]} with several queries; answers under
"data", one for each. Each part of an answer has an id there, 32 random digits; here they derive from the answer's own,
so that equal calls of a batch get equal bytes. `total_tokens` are a text's own tokens, without special ones.
CSV rows of batch jobs (see csv_rows) come through here as well.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, Ranking, RerankRequest, warnings_of
from rerank_engine.dialects.documents import read_documents
from rerank_engine.dialects.fields import Fields
from rerank_engine.dialects.jina import Jina
from rerank_engine.errors import RerankError
from rerank_engine.types import RankedDocument, RerankOptions, RerankResult
from rerank_engine.wire import echo

_ACCEPTED = ("query", "documents", "top_n", "return_documents", "id")


class JinaSagemaker:
    """The dialect of the jina-sagemaker client."""

    name = "jina-sagemaker"
    example = '{"data": {"query": "…", "documents": [{"text": "…"}], "top_n": 1}}'
    smaller = 'Send "return_documents": false, a smaller "top_n", or fewer documents.'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        outer = Fields(payload)
        data = payload.get("data")
        calls = data if isinstance(data, list) else [data]
        if not calls:
            outer.fault(("data",), "must hold at least one request", "value", data)
        rankings, marks, originals = [], [], []
        for number, call in enumerate(calls):
            at = ("data", number) if isinstance(data, list) else ("data",)
            if not isinstance(call, Mapping):
                outer.fault(at, 'must be an object: {"query": "…", "documents": […]}', "type", call)
                continue
            ranking, documents = _read(Fields(call, at, outer.errors))
            rankings.append(ranking)
            originals.append(documents)
            marks.append(call.get("id"))
        outer.refuse("parameters", "must be empty: the options stand in the request", {})
        outer.unknown(("data", "parameters", "id"))
        outer.done()
        return RerankRequest(tuple(rankings), {"ids": marks, "originals": originals})

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        marks, originals = request.extras["ids"], request.extras["originals"]
        assert isinstance(marks, list)
        assert isinstance(originals, list)
        data = []
        for number, result in enumerate(results):
            mark = marks[number] if marks[number] is not None else _id(answer.id, number, len(results))
            data.append(
                {
                    "id": mark,
                    "query_usage": {"id": f"{mark}-query", "total_tokens": result.usage.query_tokens},
                    "results": [_entry(document, mark, originals[number]) for document in result.results],
                }
            )
        body: dict[str, object] = {"data": data, "parameters": {}}
        if warnings := warnings_of(results):
            body["warnings"] = warnings
        return body

    def render_error(self, error: RerankError, request_id: str) -> object:
        """As Jina's API has it."""
        return Jina().render_error(error, request_id)


def _read(fields: Fields) -> tuple[Ranking, list[object] | None]:
    query = fields.text(fields.values.get("query"), ("query",))
    originals, documents = read_documents(fields, "documents")
    options = RerankOptions(top_n=fields.integer("top_n", low=1))
    keep = fields.flag("return_documents", default=True)
    fields.mark("id")
    fields.unknown(_ACCEPTED)
    return Ranking(query, documents, options, at=fields.at), originals if keep else None


def _id(base: str, number: int, count: int) -> str:
    return base if count == 1 else f"{base}-{number}"


def _entry(document: RankedDocument, mark: object, originals: list[object] | None) -> dict[str, object]:
    own = f"{mark}-{document.index}"
    entry: dict[str, object] = {"id": own, "index": document.index}
    if originals is not None:
        original = echo(originals[document.index])
        shown = original if isinstance(original, dict) else {"text": original}
        entry["document"] = {"id": f"{own}-document", **shown}
    entry["relevance_score"] = document.score
    entry["usage"] = {"id": f"{own}-usage", "total_tokens": document.tokens}
    return entry
