"""The dialect of Jina's /v1/rerank, by its exact JSON."""

from collections.abc import Callable

import pytest

from rerank_engine.dialects import Answer
from rerank_engine.dialects.jina import Jina
from rerank_engine.errors import InvalidRequest, NotFinite, NotReady, OutOfMemory, PayloadTooLarge, RerankError
from rerank_engine.types import RerankOptions, RerankResult

REQUEST_ID = "0" * 32
JINA = Jina()
Ranked = Callable[..., RerankResult]


@pytest.mark.parametrize(
    ("payload", "query", "documents", "options"),
    [
        ({"query": "q", "documents": ["a"]}, "q", ("a",), RerankOptions()),
        ({"query": {"text": "q"}, "documents": [{"text": "a"}, "b"]}, "q", ("a", "b"), RerankOptions()),
        ({"query": "", "documents": [""]}, "", ("",), RerankOptions()),
        ({"query": "q", "documents": ["a", "a"], "top_n": 9}, "q", ("a", "a"), RerankOptions(top_n=9)),
        ({"query": "q", "documents": ["a"], "top_n": None}, "q", ("a",), RerankOptions()),
        ({"query": "q", "documents": ["a"], "top_n": 10**30}, "q", ("a",), RerankOptions(top_n=10**30)),
        ({"query": "q", "documents": ["a"], "max_doc_length": 5}, "q", ("a",), RerankOptions(None, 5)),
        ({"query": "q", "documents": ["a"], "max_tokens_per_doc": 5}, "q", ("a",), RerankOptions(None, 5)),
        ({"query": "q", "documents": ["a"], "truncate": False}, "q", ("a",), RerankOptions(truncate=False)),
        ({"query": "q", "documents": ["a"], "truncation": False}, "q", ("a",), RerankOptions(truncate=False)),
        ({"query": "q", "documents": ["a"], "truncation": True, "truncate": True}, "q", ("a",), RerankOptions()),
        ({"query": "q", "documents": ["a"], "model": "m", "return_embeddings": False}, "q", ("a",), RerankOptions()),
        ({"query": "a\ud800\x00", "documents": ["😀"]}, "a\ud800\x00", ("😀",), RerankOptions()),
    ],
)
def test_parses(payload: object, query: str, documents: tuple[str, ...], options: RerankOptions) -> None:
    """Strings and {"text": …}, aliases, null for "not set", and texts of any characters are taken."""
    request = JINA.parse(payload)

    (ranking,) = request.rankings
    assert (query, documents, options) == (ranking.query, ranking.documents, ranking.options)


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({"documents": ["a"]}, [("query",)]),
        ({"query": None, "documents": ["a"]}, [("query",)]),
        ({"query": 1, "documents": ["a"]}, [("query",)]),
        ({"query": ["q"], "documents": ["a"]}, [("query",)]),
        ({"query": {"image": "i"}, "documents": ["a"]}, [("query", "text")]),
        ({"query": "q"}, [("documents",)]),
        ({"query": "q", "documents": None}, [("documents",)]),
        ({"query": "q", "documents": "a"}, [("documents",)]),
        ({"query": "q", "documents": {"0": "a"}}, [("documents",)]),
        ({"query": "q", "documents": []}, [("documents",)]),
        ({"query": "q", "documents": ["a", 1, None]}, [("documents", 1), ("documents", 2)]),
        (
            {"query": "q", "documents": [{"url": "u"}, {"text": 5}]},
            [("documents", 0, "text"), ("documents", 1, "text")],
        ),
        ({"query": "q", "documents": ["a"], "top_n": 0}, [("top_n",)]),
        ({"query": "q", "documents": ["a"], "top_n": -1}, [("top_n",)]),
        ({"query": "q", "documents": ["a"], "top_n": True}, [("top_n",)]),
        ({"query": "q", "documents": ["a"], "top_n": 1.5}, [("top_n",)]),
        ({"query": "q", "documents": ["a"], "top_n": "1"}, [("top_n",)]),
        ({"query": "q", "documents": ["a"], "max_tokens_per_doc": 0}, [("max_tokens_per_doc",)]),
        ({"query": "q", "documents": ["a"], "max_doc_length": 1, "max_tokens_per_doc": 2}, [("max_doc_length",)]),
        ({"query": "q", "documents": ["a"], "truncate": "yes"}, [("truncate",)]),
        ({"query": "q", "documents": ["a"], "return_documents": 1}, [("return_documents",)]),
        ({"query": "q", "documents": ["a"], "return_embeddings": True}, [("return_embeddings",)]),
        ({"query": "q", "documents": ["a"], "model": 7}, [("model",)]),
        ({"query": "q", "documents": ["a"], "id": []}, [("id",)]),
        ({"query": "q", "documents": ["a"], "topn": 3, "x": 1}, [("topn",), ("x",)]),
        ({"query": "q", "documents": ["a"], "score_threshold": 0.5}, [("score_threshold",)]),
        ({"query": 1, "documents": 2, "top_n": 0}, [("query",), ("documents",), ("top_n",)]),
    ],
)
def test_names_every_wrong_field(payload: object, fields: list[tuple[str | int, ...]]) -> None:
    """All faults of a request are listed, unknown keys among them: nothing is dropped in silence."""
    with pytest.raises(InvalidRequest) as caught:
        JINA.parse(payload)

    assert fields == [fault.field for fault in caught.value.fields]


def test_answers_with_documents_as_they_came(ranked: Ranked) -> None:
    """`document` echoes the caller's own type, scores have 8 decimals, and usage names total and prompt tokens."""
    request = JINA.parse({"query": "q", "documents": ["a", {"text": "b", "page": 7}]})

    actual = JINA.render(request, [ranked()], Answer("jinaai/jina-reranker-v1-tiny-en", "x"))

    expected = {
        "model": "jinaai/jina-reranker-v1-tiny-en",
        "object": "list",
        "usage": {"total_tokens": 29, "prompt_tokens": 29},
        "results": [
            {"index": 1, "relevance_score": 0.88079708, "document": {"text": "b", "page": 7}},
            {"index": 0, "relevance_score": 0.23147522, "document": "a"},
        ],
    }
    assert expected == actual


def test_leaves_documents_out_when_asked(ranked: Ranked, answer: Answer) -> None:
    """With `return_documents: false` there is no `document` at all, not a null."""
    request = JINA.parse({"query": "q", "documents": ["a", "b"], "return_documents": False})

    actual = JINA.render(request, [ranked()], answer)

    assert [{"index", "relevance_score"}] * 2 == [set(entry) for entry in actual["results"]]


def test_says_what_was_cut(ranked: Ranked, answer: Answer) -> None:
    """Truncation is reported, by document."""
    request = JINA.parse({"query": "q", "documents": ["a", "b"]})

    actual = JINA.render(request, [ranked(cut=(0, 1), query_cut=True)], answer)

    expected = ["The query was cut to fit the model's window.", "2 of the documents were cut to fit: 0, 1."]
    assert expected == actual["warnings"]


def test_gives_the_id_back(ranked: Ranked, answer: Answer) -> None:
    """An `id` comes back with the answer, so that a batch can be joined."""
    request = JINA.parse({"id": "q-17", "query": "q", "documents": ["a", "b"]})

    assert JINA.render(request, [ranked()], answer)["id"] == "q-17"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PayloadTooLarge("Too large.", tip="Send less."), "payload_too_large"),
        (NotReady("Loading."), "model_not_loaded"),
        (OutOfMemory("Full."), "out_of_memory"),
        (NotFinite("NaN."), "not_finite"),
        (RerankError("Bug."), "internal"),
    ],
)
def test_error_bodies(error: RerankError, code: str) -> None:
    """Errors are an object under `detail` with message, request id and code; the tip belongs to the message."""
    actual = JINA.render_error(error, REQUEST_ID)

    message = f"{error.message} {error.tip}" if error.tip else error.message
    assert {"detail": {"message": message, "request_id": REQUEST_ID, "code": code}} == actual


def test_validation_error_body() -> None:
    """A 422 has text under `detail` and a list of the faults, with paths as Jina writes them."""
    with pytest.raises(InvalidRequest) as caught:
        JINA.parse({"query": "q", "documents": ["a", 5]})

    actual = JINA.render_error(caught.value, REQUEST_ID)

    message = 'must be a string or {"text": "…"}'
    expected = {
        "detail": f"Validation error: 'documents.1' {message}.",
        "request_id": REQUEST_ID,
        "errors": [{"field": "body -> documents -> 1", "message": message, "type": "type", "input": 5}],
    }
    assert expected == actual
