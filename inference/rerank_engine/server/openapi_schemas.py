"""JSON Schema (2020-12) of each dialect's requests, as the dialects read them: a field that is null counts as absent.

What a schema cannot say stays out of it: bounds that depend on the model, fields that must not be given together, and
rules between two fields. A test sends requests made from these schemas and expects them to be answered.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": ["boolean", "null"]}
MARK: Schema = {"type": ["string", "number", "null"]}
WORD: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": ["integer", "null"], "minimum": 1}
COUNT_OR_NONE: Schema = {"type": ["integer", "null"], "minimum": 0}
NUMBER: Schema = {"type": ["number", "null"], "minimum": -1e300, "maximum": 1e300}
HOLDER: Schema = {"type": "object", "properties": {"text": TEXT}, "required": ["text"]}
TEXT_OR_HOLDER: Schema = {"anyOf": [TEXT, HOLDER]}
TEXTS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
DOCUMENTS: Schema = {"type": "array", "items": TEXT_OR_HOLDER, "minItems": 1}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


def _choice(*words: str | int | None) -> Schema:
    return {"enum": [*words, None]}


_PAIR = _object({"text": TEXT, "text_pair": TEXT})
_ENVELOPED = _object({"query": TEXT_OR_HOLDER, "documents": DOCUMENTS}, top_n=COUNT, return_documents=FLAG, id=MARK)
_VLLM: dict[str, Schema] = {
    **dict.fromkeys(("model", "id", "request_id", "user"), MARK),
    **dict.fromkeys(("max_tokens_per_doc", "max_tokens_per_query"), COUNT_OR_NONE),
    "truncate_prompt_tokens": _choice(-1),
    "truncation_side": _choice("right"),
    "use_activation": FLAG,
    "priority": {"type": ["integer", "null"], "minimum": -(2**31)},
}
_NATIVE: dict[str, Schema] = {
    **dict.fromkeys(
        ("top_n", "max_tokens_per_doc", "max_tokens_per_query", "max_chunks_per_doc", "aggregate_top_k"), COUNT
    ),
    "order": _choice("score", "input"),
    "score": _choice("sigmoid", "raw"),
    "score_threshold": NUMBER,
    "return_documents": FLAG,
    "truncate": FLAG,
    "chunk_tokens": COUNT,
    "chunk_overlap": COUNT_OR_NONE,
    "aggregate": _choice("max", "mean_top_k"),
    "id": MARK,
}
_NATIVE_CALL: Schema = {
    "anyOf": [
        _object({"query": TEXT_OR_HOLDER, "documents": DOCUMENTS}, **_NATIVE),
        _object({"queries": DOCUMENTS, "documents": DOCUMENTS}, **_NATIVE),
    ]
}

REQUESTS: dict[str, Schema] = {
    "jina": _object(
        {"query": TEXT_OR_HOLDER, "documents": DOCUMENTS},
        model=WORD,
        id=WORD,
        top_n=COUNT,
        return_documents=FLAG,
        max_doc_length=COUNT,
        truncate=FLAG,
    ),
    "jina-sagemaker": _object(
        {"data": {"anyOf": [_ENVELOPED, {"type": "array", "items": _ENVELOPED, "minItems": 1}]}}, id=MARK
    ),
    "cohere-v1": _object(
        {"api_version": {"enum": [1]}, "query": TEXT, "documents": DOCUMENTS},
        model=MARK,
        top_n=COUNT,
        return_documents=FLAG,
        max_chunks_per_doc=COUNT,
        id=MARK,
    ),
    "cohere-v2": _object(
        {"api_version": {"enum": [2]}, "query": TEXT, "documents": DOCUMENTS},
        model=MARK,
        top_n=COUNT,
        max_tokens_per_doc=COUNT,
        priority=COUNT_OR_NONE,
        id=MARK,
    ),
    "tei": _object(
        {"query": TEXT, "texts": TEXTS},
        **dict.fromkeys(("truncate", "raw_scores", "return_text"), FLAG),
        truncation_direction=_choice("right", "Right"),
        id=MARK,
    ),
    "huggingface": _object(
        {"inputs": {"anyOf": [_PAIR, {"type": "array", "items": _PAIR, "minItems": 1}]}},
        parameters=_object({}, truncation=FLAG, function_to_apply=_choice("sigmoid", "none"), top_k=_choice(1)),
        id=MARK,
    ),
    "langchain": _object(
        {
            "text_pairs": {
                "type": "array",
                "items": {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2},
                "minItems": 1,
            }
        },
        id=MARK,
    ),
    "vllm-rerank": _object(
        {"query": TEXT_OR_HOLDER, "documents": DOCUMENTS, "use_activation": {"type": "boolean"}},
        top_n=COUNT_OR_NONE,
        **{name: schema for name, schema in _VLLM.items() if name != "use_activation"},
    ),
    "vllm-score": _object({"text_1": TEXT_OR_HOLDER, "text_2": {"anyOf": [TEXT_OR_HOLDER, DOCUMENTS]}}, **_VLLM),
    "elasticsearch": _object(
        {"input": {"anyOf": [TEXT, TEXTS]}, "query": TEXT},
        task_settings=_object({}, top_n=COUNT, return_documents=FLAG),
        top_n=COUNT,
        return_documents=FLAG,
        id=MARK,
    ),
    "opensearch": _object({"query_text": TEXT, "text_docs": TEXTS}, id=MARK),
    "native": _object(
        {"rerank": {"anyOf": [_NATIVE_CALL, {"type": "array", "items": _NATIVE_CALL, "minItems": 1}]}},
        model=MARK,
        id=MARK,
    ),
}
