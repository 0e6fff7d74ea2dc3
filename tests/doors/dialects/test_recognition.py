"""Which dialect a payload is taken for, and what the others are told."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rerank_engine.dialects import DIALECTS, guess, recognise
from rerank_engine.errors import InvalidRequest

Ask = Callable[..., tuple[int, Any]]
QD = {"query": "q", "documents": ["a"]}


@pytest.mark.parametrize(
    ("payload", "path", "name"),
    [
        (QD, None, "jina"),
        ({"query": "q"}, None, "jina"),
        ({"documents": ["a"]}, "/invocations", "jina"),
        (QD | {"model": "m", "top_n": 3, "return_documents": True}, "/v1/rerank", "jina"),
        (QD | {"truncate": True}, "/v2/rerank", "jina"),
        (QD, "/v2/rerank", "cohere-v2"),
        (QD | {"priority": 0}, None, "cohere-v2"),
        (QD | {"relevant_spans": {}}, None, "cohere-v2"),
        (QD | {"api_version": 1}, None, "cohere-v1"),
        (QD | {"api_version": "1"}, "/v2/rerank", "cohere-v1"),
        (QD | {"api_version": 2}, None, "cohere-v2"),
        (QD | {"api_version": 3}, None, "cohere-v2"),
        (QD | {"api_version": True}, None, "cohere-v2"),
        (QD | {"rank_fields": ["a"]}, None, "cohere-v1"),
        (QD | {"max_chunks_per_doc": 3}, None, "cohere-v1"),
        (QD | {"use_activation": True}, None, "vllm-rerank"),
        (QD | {"truncate_prompt_tokens": -1, "priority": 1}, None, "vllm-rerank"),
        ({"query": "q", "texts": ["a"], "truncate": True}, None, "tei"),
        ({"inputs": []}, None, "huggingface"),
        ({"text_pairs": []}, None, "langchain"),
        ({"text_1": "a", "text_2": "b"}, None, "vllm-score"),
        ({"queries": ["q"], "documents": ["a"]}, None, "vllm-score"),
        ({"data_1": "a"}, "/score", "vllm-score"),
        ({"input": "a", "query": "q"}, None, "elasticsearch"),
        ({"query_text": "a", "text_docs": []}, None, "opensearch"),
        ({"data": {"query": "q"}}, None, "jina-sagemaker"),
        ({"data": None, "parameters": {}}, None, "jina-sagemaker"),
        ({"rerank": {}}, None, "native"),
    ],
)
def test_recognises(payload: object, path: str | None, name: str) -> None:
    """By keys alone, faulty requests included; a path only tells what keys leave open."""
    assert name == recognise(payload, path).name


def test_every_example_is_in_its_dialect() -> None:
    """The examples that a lost caller gets are requests that work."""
    for dialect in DIALECTS:
        payload = json.loads(dialect.example)
        assert (dialect.name, True) == (recognise(payload).name, bool(dialect.parse(payload).rankings))


@pytest.mark.parametrize("payload", [{}, [], None, '"text"', 5, {"q": "x"}, [{"query": "q"}], {"instances": []}])
def test_unknown_shapes_get_examples(ask: Ask, payload: object) -> None:
    """A payload that no dialect knows is a 422 with a request of each that would be."""
    status, body = ask(payload)

    assert 422 == status
    for dialect in DIALECTS:
        assert f"{dialect.name}: {dialect.example}" in body["detail"]


@pytest.mark.parametrize(
    ("payload", "keys"),
    [
        ({"texts": [], "inputs": []}, ("'texts' (tei)", "'inputs' (huggingface)")),
        ({"api_version": 2, "texts": [], "query": "q"}, ("'api_version' (cohere-v2)", "'texts' (tei)")),
        (QD | {"rank_fields": [], "truncation": True}, ("'rank_fields' (cohere-v1)", "'truncation' (jina)")),
    ],
)
def test_ambiguous_shapes_are_refused(payload: object, keys: tuple[str, str]) -> None:
    """Marks of two dialects are not guessed about: both are named."""
    with pytest.raises(InvalidRequest) as caught:
        recognise(payload)

    assert all(key in caught.value.message for key in keys)


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("{", None, "unknown"),
        ("", "/invocations", "unknown"),
        (b'{"query": "q", "documents": ["a"', "/v1/rerank", "unknown"),
        ("", "/v2/rerank", "cohere-v2"),
        ("", "/score", "vllm-score"),
        ('{"query": "q", "texts": [', None, "tei"),
        ('{"query": "q", "documents": ["a"], "api_version": 1', None, "cohere-v1"),
        (b'{"api_version":2, "documents": ["a"', None, "cohere-v2"),
        (b'\xff{"text_pairs": ', None, "langchain"),
        ('{"documents": ["' + "x" * 9000 + '"], "rank_fields": [], "api_version": 2,}', None, "cohere-v2"),
    ],
)
def test_broken_bodies_are_answered_as_their_caller_expects(text: str | bytes, path: str | None, name: str) -> None:
    """What cannot be parsed is still searched for a telling key, so that the error has the caller's shape."""
    assert name == guess(text, path).name


def test_options_of_our_own_format_point_to_it(ask: Ask) -> None:
    """A Jina request with one of our options learns where that option is."""
    status, body = ask(QD | {"score_threshold": 0.5})

    assert 422 == status
    assert '{"rerank": {"query": …' in body["detail"]
