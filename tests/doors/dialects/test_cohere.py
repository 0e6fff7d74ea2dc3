"""Cohere's two versions, by their exact JSON."""

from collections.abc import Callable
from typing import Any

import pytest

from rerank_engine.dialects import Answer
from rerank_engine.dialects.cohere import Cohere
from rerank_engine.errors import InvalidRequest
from rerank_engine.types import RerankOptions, RerankResult

Ask = Callable[..., tuple[int, Any]]
QD: dict[str, Any] = {"query": "q", "documents": ["a", "bbb"]}
BEST, OTHER = 0.598687660112452, 0.549833997312478


def meta(version: str) -> dict[str, Any]:
    """The meta of an answer to QD."""
    return {
        "api_version": {"version": version},
        "billed_units": {"search_units": 1},
        "tokens": {"input_tokens": 6},
    }


@pytest.mark.parametrize(
    ("payload", "results", "version"),
    [
        (
            QD | {"api_version": 2, "top_n": 1},
            [{"index": 1, "relevance_score": BEST}],
            "2",
        ),
        (
            QD | {"api_version": 1},
            [{"index": 1, "relevance_score": BEST}, {"index": 0, "relevance_score": OTHER}],
            "1",
        ),
        (
            QD | {"api_version": 1, "return_documents": True, "model": "m", "top_n": 99},
            [
                {"index": 1, "relevance_score": BEST, "document": {"text": "bbb"}},
                {"index": 0, "relevance_score": OTHER, "document": {"text": "a"}},
            ],
            "1",
        ),
        (
            {
                "api_version": 1,
                "query": "q",
                "documents": [{"title": "b", "text": "b"}, {"text": "x" * 99, "page": 7, "title": "a"}],
                "rank_fields": ["title"],
                "return_documents": True,
            },
            [
                {"index": 0, "relevance_score": OTHER, "document": {"title": "b", "text": "b"}},
                {"index": 1, "relevance_score": OTHER, "document": {"text": "x" * 99, "page": 7, "title": "a"}},
            ],
            "1",
        ),
    ],
)
def test_answers(ask: Ask, payload: object, results: object, version: str) -> None:
    """Best first, documents as objects and only in version 1, search units and tokens under meta."""
    status, body = ask(payload)

    tokens = {} if "rank_fields" not in payload else {"tokens": {"input_tokens": 4}}
    assert (200, {"id": "…", "results": results, "meta": meta(version) | tokens}) == (status, body)


@pytest.mark.parametrize(
    ("version", "payload", "options"),
    [
        (1, QD, RerankOptions(max_chunks_per_document=10)),
        (1, QD | {"max_chunks_per_doc": 3, "top_n": 2}, RerankOptions(top_n=2, max_chunks_per_document=3)),
        (2, QD, RerankOptions(max_tokens_per_document=4096)),
        (2, QD | {"max_tokens_per_doc": 9, "priority": 5}, RerankOptions(max_tokens_per_document=9)),
        (2, QD | {"return_documents": False, "relevant_spans": {"mode": "disabled"}}, RerankOptions(None, 4096)),
    ],
)
def test_defaults_are_coheres(version: int, payload: dict[str, Any], options: RerankOptions) -> None:
    """Ten chunks a document in version 1, 4,096 tokens in version 2."""
    assert options == Cohere(version).parse(payload).rankings[0].options


def test_rank_fields_are_scored_in_their_order() -> None:
    """The values, a line each; fields that a document lacks are left out."""
    documents = [{"text": "t", "title": "T"}, {"title": "T"}, "plain"]

    request = Cohere(1).parse({"query": "q", "documents": documents, "rank_fields": ["title", "text"]})

    assert ("T\nt", "T", "plain") == request.rankings[0].documents


def test_search_units_count_chunks(ranked: Callable[..., RerankResult], answer: Answer) -> None:
    """A unit is a query with up to a hundred documents or chunks; what was cut stands in the warnings."""
    request = Cohere(2).parse(QD)

    body: Any = Cohere(2).render(request, [ranked(cut=(0,))], answer)

    assert (1, ["1 of the documents were cut to fit: 0."]) == (
        body["meta"]["billed_units"]["search_units"],
        body["meta"]["warnings"],
    )


@pytest.mark.parametrize(
    ("payload", "status", "message"),
    [
        (QD | {"api_version": 3}, 422, "'api_version' must be 1 or 2."),
        (QD | {"api_version": 2, "top_n": 0}, 422, "'top_n' must be at least 1."),
        (
            QD | {"api_version": 2, "return_documents": True},
            422,
            "'return_documents' must be false: version 2 of the API never returns documents.",
        ),
        ({"api_version": 1, "query": {"text": "q"}, "documents": ["a"]}, 422, "'query' must be a string."),
        ({"api_version": 2, "query": "q", "documents": ["☠"]}, 500, "1 of the scores is NaN."),
        ('{"api_version": 2, "query": "q"', 400, "The body is not JSON: Expecting ',' delimiter at line 1 column 32."),
    ],
)
def test_errors_are_flat_objects(ask: Ask, payload: object, status: int, message: str) -> None:
    """Message and id: the client writes into the body, whatever the status."""
    assert (status, {"message": message, "id": "…"}) == ask(payload)


@pytest.mark.parametrize("fields", [["title"], "title", [], [1]])
def test_rank_fields_that_cannot_be_scored(fields: object) -> None:
    """A document without any of the fields, and a list that is none, are named."""
    with pytest.raises(InvalidRequest) as caught:
        Cohere(1).parse({"query": "q", "documents": [{"x": "y"}], "rank_fields": fields})

    assert caught.value.fields[0].field in (("documents", 0), ("rank_fields",))
