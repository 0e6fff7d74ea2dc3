"""The smaller formats, each by its exact JSON: request, answer, defaults and error body."""

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., tuple[int, Any]]
BEST, OTHER = 0.598687660112452, 0.549833997312478  # of "q" with "bbb" and "a"
TEI = {"query": "q", "texts": ["a", "bbb"]}
VLLM = {"query": "q", "documents": ["a", {"text": "bbb"}], "use_activation": True}
ELASTIC = {"input": ["a", "bbb"], "query": "q"}
NAN = "1 of the scores is NaN."


def tensor(score: float) -> dict[str, Any]:
    """A document's answer as OpenSearch wants it."""
    return {"name": "similarity", "data_type": "FLOAT32", "shape": [1], "data": [score]}


def scored(*scores: float, tokens: int) -> dict[str, Any]:
    """The answer of vLLM's score route."""
    return {
        "id": "score-…",
        "object": "list",
        "created": 0,
        "model": "fake/model",
        "data": [{"index": index, "object": "score", "score": score} for index, score in enumerate(scores)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (TEI, [{"index": 1, "score": BEST}, {"index": 0, "score": OTHER}]),
        (
            TEI | {"return_text": True, "raw_scores": True, "truncate": None, "truncation_direction": "Right"},
            [{"index": 1, "text": "bbb", "score": 0.4}, {"index": 0, "text": "a", "score": 0.2}],
        ),
        (
            {"query": "q", "texts": ["a", "b"]},
            [{"index": 0, "score": OTHER}, {"index": 1, "score": OTHER}],
        ),
        (
            {"inputs": [{"text": "q", "text_pair": "a"}, {"text": "q", "text_pair": "bbb"}]},
            [{"label": "LABEL_0", "score": OTHER}, {"label": "LABEL_0", "score": BEST}],
        ),
        ({"inputs": {"text": "q", "text_pair": "a"}}, [{"label": "LABEL_0", "score": OTHER}]),
        (
            {
                "inputs": {"text": "q", "text_pair": "a"},
                "parameters": {"function_to_apply": "none", "truncation": True},
            },
            [{"label": "LABEL_0", "score": 0.2}],
        ),
        ({"text_pairs": [["q", "bbb"], ["q", "a"]]}, {"scores": [BEST, OTHER]}),
        (
            {"text_pairs": [["q", "bbb"], ["qqq", "a"], ["q", "a"], ["qqq", "a"]]},
            {"scores": [BEST, BEST, OTHER, BEST]},
        ),
        (
            VLLM | {"top_n": 0, "truncate_prompt_tokens": -1, "priority": -1},
            {
                "id": "rerank-…",
                "model": "fake/model",
                "usage": {"prompt_tokens": 6, "total_tokens": 6},
                "results": [
                    {"index": 1, "document": {"text": "bbb"}, "relevance_score": BEST},
                    {"index": 0, "document": {"text": "a"}, "relevance_score": OTHER},
                ],
            },
        ),
        ({"text_1": "q", "text_2": "a"}, scored(OTHER, tokens=2)),
        ({"queries": "q", "documents": ["bbb", "a"]}, scored(BEST, OTHER, tokens=6)),
        ({"data_1": ["q"], "data_2": ["a", "a"], "use_activation": False}, scored(0.2, 0.2, tokens=4)),
        ({"text_1": ["q", "qqq"], "items": ["a", "a"], "model": "m"}, scored(OTHER, BEST, tokens=6)),
        (
            ELASTIC,
            {"rerank": [{"index": 1, "relevance_score": BEST}, {"index": 0, "relevance_score": OTHER}]},
        ),
        (
            {"input": "bbb", "query": "q", "task_settings": {"return_documents": True, "top_n": 3}},
            {"rerank": [{"index": 0, "relevance_score": BEST, "text": "bbb"}]},
        ),
        (
            ELASTIC | {"top_n": 1, "return_documents": False, "task_settings": {"return_documents": True, "top_n": 2}},
            {"rerank": [{"index": 1, "relevance_score": BEST}]},
        ),
        ({"query_text": "q", "text_docs": ["a", "bbb"]}, [tensor(OTHER), tensor(BEST)]),
    ],
)
def test_answers(ask: Ask, payload: object, expected: object) -> None:
    """Each format in its own shape, its own order and with its own defaults; ties in the caller's order."""
    assert (200, expected) == ask(payload)


@pytest.mark.parametrize(
    ("payload", "status", "expected"),
    [
        (
            {"query": "q", "texts": []},
            422,
            {"error": "'texts' must hold at least one document.", "error_type": "Validation"},
        ),
        ({"query": "q", "texts": ["☠"]}, 500, {"error": NAN, "error_type": "Backend"}),
        (
            {"query": "q", "texts": ["a", "too long"]},
            422,
            {"error": "'texts.1' has 9 tokens, 8 fit.", "error_type": "Validation"},
        ),
        (
            {"inputs": ["q</s></s>d"]},
            422,
            {
                "code": 422,
                "type": "BadRequestException",
                "message": '\'inputs.0\' must be {"text": query, "text_pair": document}.',
            },
        ),
        (
            {"inputs": {"text": "q", "text_pair": "☠"}},
            500,
            {"code": 500, "type": "InternalServerException", "message": NAN},
        ),
        (
            {"inputs": [{"text": "q", "text_pair": "a"}, {"text": "q", "text_pair": "too long"}]},
            422,
            {"code": 422, "type": "BadRequestException", "message": "'inputs.1.text_pair' has 9 tokens, 8 fit."},
        ),
        (
            {"text_pairs": [["q"]]},
            422,
            {
                "error": "'text_pairs.0' must be [query, document], two strings.",
                "code": "invalid_request",
                "status": 422,
                "request_id": "…",
                "errors": [{"field": ["text_pairs", 0], "message": "must be [query, document], two strings"}],
            },
        ),
        (
            {"text_pairs": [["x", "a"], ["q", "too long"]]},
            422,
            {
                "error": "'text_pairs.1.1' has 9 tokens, 8 fit.",
                "code": "invalid_request",
                "status": 422,
                "request_id": "…",
                "errors": [{"field": ["text_pairs", 1, 1], "message": "has 9 tokens, 8 fit"}],
            },
        ),
        (
            VLLM | {"truncate_prompt_tokens": 5},
            422,
            {
                "error": {
                    "message": "'truncate_prompt_tokens' must be -1, the model's window; "
                    "cap documents with max_tokens_per_doc.",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 422,
                }
            },
        ),
        (
            {"text_1": ["q", "q"], "text_2": ["a", "b", "c"]},
            422,
            {
                "error": {
                    "message": "'text_1' has 2 texts for 3 documents: give one, or as many.",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 422,
                }
            },
        ),
        (
            {"text_1": "q", "text_2": "☠"},
            500,
            {"error": {"message": NAN, "type": "InternalServerError", "param": None, "code": 500}},
        ),
        (
            {"input": [], "query": "q"},
            422,
            {
                "error": {
                    "type": "illegal_argument_exception",
                    "reason": "'input' must hold at least one document.",
                    "code": "invalid_request",
                },
                "status": 422,
            },
        ),
        (
            {"query_text": "q", "text_docs": ["☠"]},
            500,
            {"error": {"type": "status_exception", "reason": NAN, "code": "not_finite"}, "status": 500},
        ),
    ],
)
def test_errors(ask: Ask, payload: object, status: int, expected: object) -> None:
    """Errors, the engine's as well, have the caller's shape and the caller's names of the fields."""
    assert (status, expected) == ask(payload)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (TEI | {"texts": [{"text": "a"}]}, "'texts.0'"),
        (TEI | {"truncation_direction": "left"}, "'truncation_direction'"),
        (TEI | {"top_n": 1}, "'top_n'"),
        ({"inputs": {"text": "q"}}, "'inputs.text_pair'"),
        ({"inputs": []}, "'inputs'"),
        ({"inputs": None}, "'inputs'"),
        ({"inputs": {"text": "q", "text_pair": "a"}, "parameters": {"top_k": 2}}, "'parameters.top_k'"),
        ({"inputs": {"text": "q", "text_pair": "a"}, "parameters": {"max_length": 5}}, "'parameters.max_length'"),
        ({"text_pairs": None}, "'text_pairs'"),
        ({"text_pairs": []}, "'text_pairs'"),
        ({"text_pairs": [["q", None]]}, "'text_pairs.0'"),
        (VLLM | {"truncation_side": "left"}, "'truncation_side'"),
        (VLLM | {"top_n": -1}, "'top_n'"),
        ({"text_1": "q"}, "'documents'"),
        ({"text_1": "q", "queries": "q", "text_2": "a"}, "'text_1'"),
        ({"text_1": "q", "text_2": []}, "'text_2'"),
        (ELASTIC | {"task_settings": {"topn": 1}}, "'task_settings.topn'"),
        (ELASTIC | {"task_settings": 1}, "'task_settings'"),
        (ELASTIC | {"input": 5}, "'input'"),
        ({"query_text": "q", "text_docs": "a"}, "'text_docs'"),
    ],
)
def test_faulty_fields_are_named(ask: Ask, payload: object, field: str) -> None:
    """What is missing, wrong or unknown is a 422 that names it as the caller does."""
    status, body = ask(payload)

    assert 422 == status
    assert field in str(body).replace('"', "'")


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "😀 naïve", "a" * 1_000_000])
@pytest.mark.parametrize(
    ("shape", "read"),
    [
        (lambda text: {"query": text, "texts": [text, text]}, lambda body: len(body)),
        (lambda text: {"query": text, "documents": [text, text]}, lambda body: len(body["results"])),
        (lambda text: {"text_pairs": [[text, text]] * 2}, lambda body: len(body["scores"])),
        (lambda text: {"rerank": {"query": text, "documents": [text, text]}}, lambda body: len(body["results"])),
        *(
            (lambda text, n=n: {"api_version": n, "query": text, "documents": [text] * 2}, lambda b: len(b["results"]))
            for n in (1, 2)
        ),
        (lambda text: {"inputs": [{"text": text, "text_pair": text}] * 2}, lambda body: len(body)),
        (
            lambda text: {"query": text, "documents": [text, text], "use_activation": True},
            lambda body: len(body["results"]),
        ),
        (lambda text: {"text_1": text, "text_2": [text, text]}, lambda body: len(body["data"])),
        (lambda text: {"query": text, "input": [text, text]}, lambda body: len(body["rerank"])),
        (lambda text: {"query_text": text, "text_docs": [text, text]}, lambda body: len(body)),
        (
            lambda text: {"data": {"query": text, "documents": [{"text": text}] * 2}},
            lambda body: len(body["data"][0]["results"]),
        ),
    ],
)
def test_any_text_is_scored(ask: Ask, text: str, shape: Callable[[str], Any], read: Callable[[Any], int]) -> None:
    """Duplicates, empty strings, NUL, lone surrogates, emoji and a megabyte are texts like any other."""
    status, body = ask(shape(text))

    assert (200, 2) == (status, read(body))
