"""Which dialect a payload is in, by the names of its keys.

| the payload has                                                              | dialect                    |
|------------------------------------------------------------------------------|----------------------------|
| rerank                                                                       | native                     |
| data                                                                         | jina-sagemaker             |
| api_version                                                                  | cohere-v1, cohere-v2       |
| texts                                                                        | tei                        |
| inputs                                                                       | huggingface                |
| text_pairs                                                                   | langchain                  |
| queries, items, text_1, text_2, data_1, data_2                               | vllm-score                 |
| input                                                                        | elasticsearch              |
| query_text, text_docs                                                        | opensearch                 |
| query or documents, and                                                      |                            |
|   rank_fields, max_chunks_per_doc                                            | cohere-v1                  |
|   relevant_spans                                                             | cohere-v2                  |
|   use_activation, truncate_prompt_tokens, truncation_side, max_tokens_per_query | vllm-rerank             |
|   max_doc_length, truncate, truncation, return_embeddings                    | jina                       |
|   none of these, but priority, or sent to /v2/rerank                         | cohere-v2                  |
|   none of these                                                              | jina                       |

A key of the upper part decides alone; keys of two dialects in the same part are ambiguous, and refused. Only Cohere's
version 2 is ever told by the path, since SageMaker has a single path.
"""

import json
import re
from collections.abc import Iterable, Mapping

from rerank_engine.dialects.base import Dialect
from rerank_engine.dialects.cohere import Cohere
from rerank_engine.dialects.elasticsearch import Elasticsearch
from rerank_engine.dialects.fields import shown
from rerank_engine.dialects.huggingface import HuggingFace
from rerank_engine.dialects.jina import Jina
from rerank_engine.dialects.jina_sagemaker import JinaSagemaker
from rerank_engine.dialects.langchain import LangChain
from rerank_engine.dialects.native import Native
from rerank_engine.dialects.opensearch import OpenSearch
from rerank_engine.dialects.tei import Tei
from rerank_engine.dialects.unknown import Unknown
from rerank_engine.dialects.vllm import VllmRerank
from rerank_engine.dialects.vllm_score import VllmScore
from rerank_engine.errors import FieldError, InvalidRequest

JINA, JINA_SAGEMAKER, COHERE_V1, COHERE_V2 = Jina(), JinaSagemaker(), Cohere(1), Cohere(2)
TEI, HUGGING_FACE, LANGCHAIN, VLLM_RERANK, VLLM_SCORE = Tei(), HuggingFace(), LangChain(), VllmRerank(), VllmScore()
ELASTICSEARCH, OPENSEARCH, NATIVE, UNKNOWN = Elasticsearch(), OpenSearch(), Native(), Unknown()

DIALECTS: tuple[Dialect, ...] = (
    *(JINA, JINA_SAGEMAKER, COHERE_V1, COHERE_V2, TEI, HUGGING_FACE, LANGCHAIN, VLLM_RERANK, VLLM_SCORE),
    *(ELASTICSEARCH, OPENSEARCH, NATIVE),
)

_ALONE: Mapping[str, Dialect] = {
    "rerank": NATIVE,
    "data": JINA_SAGEMAKER,
    "api_version": COHERE_V2,
    "texts": TEI,
    "inputs": HUGGING_FACE,
    "text_pairs": LANGCHAIN,
    "input": ELASTICSEARCH,
    **dict.fromkeys(("queries", "items", "text_1", "text_2", "data_1", "data_2"), VLLM_SCORE),
    **dict.fromkeys(("query_text", "text_docs"), OPENSEARCH),
}
_OPTIONS: Mapping[str, Dialect] = {
    **dict.fromkeys(("rank_fields", "max_chunks_per_doc"), COHERE_V1),
    "relevant_spans": COHERE_V2,
    **dict.fromkeys(
        ("use_activation", "truncate_prompt_tokens", "truncation_side", "max_tokens_per_query"), VLLM_RERANK
    ),
    **dict.fromkeys(("max_doc_length", "truncate", "truncation", "return_embeddings"), JINA),
}
_PATHS: Mapping[str, Dialect] = {"/v2/rerank": COHERE_V2}
_ERRORS_AT: Mapping[str, Dialect] = {**_PATHS, "/score": VLLM_SCORE, "/v1/score": VLLM_SCORE}
_KEY = re.compile(r'"(\w+)"\s*:')
_VERSION_1 = re.compile(r'"api_version"\s*:\s*"?1\b')
_SEARCHED_CHARACTERS = 4096


def recognise(payload: object, path: str | None = None) -> Dialect:
    """The dialect of a payload, by its shape; `path` is the one it was sent to, where there are several.

    Raises:
        InvalidRequest: no dialect has this shape, or two have; the tip shows one request of each.
    """
    if isinstance(payload, Mapping):
        for marks in (_ALONE, _OPTIONS if "query" in payload or "documents" in payload else {}):
            found = {marks[key].name: key for key in payload if key in marks}
            if len(found) > 1:
                has = " and ".join(f"{key!r} ({name})" for name, key in found.items())
                raise _unknown(f"The body is ambiguous: it has {has}.", payload)
            if found:
                (key,) = found.values()
                return _version(payload["api_version"]) if key == "api_version" else marks[key]
        if "query" in payload or "documents" in payload:
            return COHERE_V2 if payload.get("priority") is not None else _PATHS.get(path or "", JINA)
    if isinstance(payload, str) and _holds_json(payload):
        message = "The body is JSON within a JSON string: it was encoded twice."
        fault = FieldError((), message.rstrip("."), "value", shown(payload))
        raise InvalidRequest(
            message, fields=(fault,), tip='Encode the object once: send {"query": …}, not "{\\"query\\": …}".'
        )
    raise _unknown("The body has none of the known shapes.", payload)


def expected_at(path: str | None) -> Dialect:
    """Whose error bodies answer a request of which nothing but the path is known; several APIs share most paths."""
    return _ERRORS_AT.get(path or "", UNKNOWN)


def guess(text: str | bytes | bytearray, path: str | None = None) -> Dialect:
    """Whose error bodies answer a body that could not be read: the first telling key near its start or end."""
    if isinstance(text, bytes | bytearray):
        text = bytes(text[:_SEARCHED_CHARACTERS] + text[-_SEARCHED_CHARACTERS:]).decode("latin-1")
    for part in (text[:_SEARCHED_CHARACTERS], text[-_SEARCHED_CHARACTERS:]):
        for key in _KEY.findall(part):
            if key == "api_version":
                return COHERE_V1 if _VERSION_1.search(part) else COHERE_V2
            if key in _ALONE:
                return _ALONE[key]
    return expected_at(path)


def _holds_json(text: str) -> bool:
    """Whether a string is itself the JSON of an object, a list, or a string (encoded more than twice)."""
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _version(value: object) -> Dialect:
    return COHERE_V1 if value in (1, "1") and value is not True else COHERE_V2


def _unknown(message: str, payload: object) -> InvalidRequest:
    fault = FieldError((), message.rstrip("."), "value", shown(payload))
    return InvalidRequest(message, fields=(fault,), tip=f"Send {_examples(DIALECTS)}.")


def _examples(dialects: Iterable[Dialect]) -> str:
    return "; ".join(f"{dialect.name}: {dialect.example}" for dialect in dialects)
