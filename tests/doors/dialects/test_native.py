"""Our own format: every option, several queries, and what it tells of long documents."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerank_engine.dialects import Answer
from rerank_engine.dialects.native import Native
from rerank_engine.types import RankedDocument, RerankOptions, RerankResult, Usage

Ask = Callable[..., tuple[int, Any]]
BEST, OTHER = 0.598687660112452, 0.549833997312478
QD: dict[str, Any] = {"query": "q", "documents": ["a", "bbb"]}
USAGE = {"query_tokens": 1, "document_tokens": 4, "total_tokens": 6, "pairs": 2}


def entry(index: int, score: float, logit: float, tokens: int, **more: object) -> dict[str, Any]:
    """One result."""
    return {"index": index, "score": score, "logit": logit, "tokens": tokens, "truncated": False, **more}


@pytest.mark.parametrize(
    ("options", "results"),
    [
        ({}, [entry(1, BEST, 0.4, 3), entry(0, OTHER, 0.2, 1)]),
        ({"order": "input", "score": "raw"}, [entry(0, 0.2, 0.2, 1), entry(1, 0.4, 0.4, 3)]),
        ({"top_n": 1, "return_documents": True}, [entry(1, BEST, 0.4, 3, document="bbb")]),
        ({"score_threshold": 0.55}, [entry(1, BEST, 0.4, 3)]),
        ({"score_threshold": 1}, []),
    ],
)
def test_answers(ask: Ask, options: dict[str, Any], results: object) -> None:
    """Score and logit of each document, tokens, and usage."""
    assert (200, {"model": "fake/model", "results": results, "usage": USAGE}) == ask({"rerank": QD | options})


def test_every_option_reaches_the_engine() -> None:
    """Under the names that the README lists."""
    options = {
        "top_n": 1,
        "max_tokens_per_doc": 2,
        "truncate": False,
        "max_tokens_per_query": 3,
        "max_chunks_per_doc": 4,
        "chunk_tokens": 5,
        "chunk_overlap": 0,
        "aggregate": "mean_top_k",
        "aggregate_top_k": 6,
        "score": "calibrated",
        "score_threshold": -0.5,
        "order": "input",
    }

    (ranking,) = Native().parse({"rerank": QD | options}).rankings

    assert RerankOptions(1, 2, False, 3, 4, 5, 0, "mean_top_k", 6, "calibrated", -0.5, "input", True) == ranking.options


def test_rerank_many(ask: Ask) -> None:
    """Several queries, each with its own documents and options, in one call; usage of each and of all."""
    calls = [{"id": "x", "query": "q", "documents": ["a", "bbb"], "top_n": 1}, {"query": "qqq", "documents": ["a"]}]

    status, body = ask({"rerank": calls, "id": 7})

    expected = {
        "id": 7,
        "model": "fake/model",
        "answers": [
            {"id": "x", "results": [entry(1, BEST, 0.4, 3)], "usage": USAGE},
            {
                "results": [entry(0, BEST, 0.4, 1)],
                "usage": {"query_tokens": 3, "document_tokens": 1, "total_tokens": 4, "pairs": 1},
            },
        ],
        "usage": {"query_tokens": 4, "document_tokens": 5, "total_tokens": 10, "pairs": 3},
    }
    assert (200, expected) == (status, body)


def test_several_queries_share_documents(ask: Ask) -> None:
    """With `queries` the documents are sent once and ranked by each."""
    _, body = ask({"rerank": {"queries": ["q", "qqq"], "documents": ["a", "bbb"], "top_n": 1}})

    assert [[1], [1]] == [[result["index"] for result in answer["results"]] for answer in body["answers"]]


def test_long_documents_tell_their_best_chunk(answer: Answer) -> None:
    """Which chunk of how many won, and its characters; warnings say what was cut."""
    request = Native().parse({"rerank": {"query": "q", "documents": ["x" * 99]}})
    document = RankedDocument(0, 1.5, 0.8, 60, True, chunks=3, best_chunk=1, span=(20, 50))

    body: Any = Native().render(request, [RerankResult((document,), Usage(1, 70, 90, 3), True, (0,))], answer)

    expected = {
        "index": 0,
        "score": 0.8,
        "logit": 1.5,
        "tokens": 60,
        "truncated": True,
        "chunks": 3,
        "best_chunk": {"index": 1, "start": 20, "end": 50},
    }
    assert [expected] == body["results"]
    assert ["The query was cut to fit the model's window.", "1 of the documents were cut to fit: 0."] == body[
        "warnings"
    ]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (None, ["rerank"]),
        ([], ["rerank"]),
        ([5], ["rerank", 0]),
        ({"query": "q"}, ["rerank", "documents"]),
        (QD | {"queries": ["q"]}, ["rerank", "queries"]),
        ({"queries": [], "documents": ["a"]}, ["rerank", "queries"]),
        ({"queries": ["q", 1], "documents": ["a"]}, ["rerank", "queries", 1]),
        ([QD, QD | {"order": "up"}], ["rerank", 1, "order"]),
        (QD | {"score": "logit"}, ["rerank", "score"]),
        (QD | {"score_threshold": "0.5"}, ["rerank", "score_threshold"]),
        (QD | {"score_threshold": 10**400}, ["rerank", "score_threshold"]),
        (QD | {"chunk_overlap": -1}, ["rerank", "chunk_overlap"]),
        (QD | {"rank_fields": ["title"], "documents": [{"title": 1}]}, ["rerank", "documents", 0, "title"]),
        (QD | {"topn": 1}, ["rerank", "topn"]),
        (QD | {"documents": ["a", "too long"]}, ["rerank", "documents", 1]),
        ([QD, {"query": "q", "documents": ["too long"]}], ["rerank", 1, "documents", 0]),
    ],
)
def test_errors_name_the_field(ask: Ask, request_: object, field: list[str | int]) -> None:
    """With its place in a call of several requests; message, code and status beside it."""
    status, body = ask({"rerank": request_})

    assert (422, "invalid_request", 422) == (status, body["code"], body["status"])
    assert field == body["errors"][0]["field"]


def test_documents_are_limited_over_all_queries(ask: Ask) -> None:
    """Several queries do not multiply what a request may hold."""
    status, body = ask({"rerank": [QD, QD]}, max_documents=3)

    assert (422, True) == (status, "4 documents" in body["error"])


def test_the_readmes_request_works() -> None:
    """The block of JSON in the README is a request, option for option."""
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    [block] = [part.split("```")[0] for part in readme.split("```json\n")[1:] if part.startswith('{"rerank"')]

    (ranking,) = Native().parse(json.loads(block)).rankings

    assert ("…", "…\n…") == ranking.documents
