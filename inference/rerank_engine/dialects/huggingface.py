"""Text classification of pairs, as the Hugging Face toolkit has it: {"inputs": [{"text": …, "text_pair": …}]}.

Answers are [{"label": "LABEL_0", "score": …}, …], one for each input, in order. https://huggingface.co/docs/transformers
(pipelines, TextClassificationPipeline): a model with one label gets a sigmoid unless `function_to_apply` is "none".
Errors have the three keys of AWS's multi-model-server, which runs the toolkit.
"""

from collections.abc import Mapping, Sequence

from rerank_engine.dialects.base import Answer, RerankRequest, said
from rerank_engine.dialects.fields import Fields
from rerank_engine.dialects.pairs import rankings_of, scores_in_order
from rerank_engine.errors import RequestError, RerankError, Unavailable
from rerank_engine.types import RerankOptions, RerankResult

_LABEL = "LABEL_0"


class HuggingFace:
    """The dialect of the Hugging Face toolkit's text classification."""

    name = "huggingface"
    example = '{"inputs": [{"text": "query", "text_pair": "document"}]}'
    smaller = 'Send fewer pairs in "inputs".'

    def parse(self, payload: Mapping[str, object]) -> RerankRequest:
        """The request in a payload; see Dialect.parse."""
        fields = Fields(payload)
        given = payload.get("inputs")
        inputs = given if isinstance(given, list) else [given]
        if given is None:
            fields.fault(("inputs",), "is missing", "missing")
        elif not inputs:
            fields.fault(("inputs",), "must hold at least one pair", "value", given)
        pairs, places = [], []
        for number, one in enumerate(inputs if given is not None else []):
            at = ("inputs", number) if isinstance(given, list) else ("inputs",)
            if not isinstance(one, Mapping):
                fields.fault(at, 'must be {"text": query, "text_pair": document}', "type", one)
                continue
            pair = Fields(one, at, fields.errors)
            pairs.append((pair.plain(one.get("text"), ("text",)), pair.plain(one.get("text_pair"), ("text_pair",))))
            places.append(((*at, "text"), (*at, "text_pair")))
            pair.unknown(("text", "text_pair"))
        options = _options(fields)
        fields.mark("id")
        fields.unknown(("inputs", "parameters", "id"))
        fields.done()
        rankings = rankings_of(pairs, options=options, places=places)
        return RerankRequest(rankings, {"queries": [query for query, _ in pairs]})

    def render(self, request: RerankRequest, results: Sequence[RerankResult], answer: Answer) -> object:
        """The JSON value of an answer."""
        queries = request.extras["queries"]
        assert isinstance(queries, list)
        scores = scores_in_order(queries, request.rankings, results)
        return [{"label": _LABEL, "score": score} for score in scores]

    def render_error(self, error: RerankError, request_id: str) -> object:
        """As multi-model-server says it, with the right status in it."""
        if isinstance(error, RequestError):
            kind = "BadRequestException"
        else:
            kind = "ServiceUnavailableException" if isinstance(error, Unavailable) else "InternalServerException"
        return {"code": error.status, "type": kind, "message": said(error)}


def _options(fields: Fields) -> RerankOptions:
    given = fields.values.get("parameters")
    if given is not None and not isinstance(given, Mapping):
        fields.fault(("parameters",), "must be an object", "type", given)
    inner = Fields(given if isinstance(given, Mapping) else {}, ("parameters",), fields.errors)
    truncate = inner.flag("truncation", default=True)
    applied = inner.choice("function_to_apply", ("sigmoid", "none"), "sigmoid")
    inner.refuse("top_k", "must be 1: this model has one label", 1)
    inner.unknown(("truncation", "function_to_apply", "top_k"))
    return RerankOptions(truncate=truncate, order="input", score="raw" if applied == "none" else "sigmoid")
