"""Splitting: every document once, in order, within the limit to the byte."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_client.errors import DocumentTooLarge, InvalidCall
from rerank_client.payload import split

TEXT = st.text(max_size=40)  # hypothesis' text has no lone surrogates; one case of those is below


@given(TEXT, st.lists(TEXT, max_size=30), st.integers(330, 900), st.integers(1, 8), st.none() | st.integers(1, 40))
def test_parts_cover_the_documents_once_in_order_and_within_both_limits(
    query: str, documents: list[str], max_bytes: int, max_documents: int, top_n: int | None
) -> None:
    """Whatever the texts, the concatenated parts are the call and no body is longer than allowed."""
    options = {"return_documents": False}
    parts = split(query, documents, options, top_n=top_n, max_bytes=max_bytes * 2, max_documents=max_documents)
    bodies = [json.loads(part.body) for part in parts]

    assert documents == [text for body in bodies for text in body["documents"]]
    assert [sum(p.count for p in parts[:i]) for i in range(len(parts))] == [part.start for part in parts]
    assert all(len(part.body) <= max_bytes * 2 and part.count <= max_documents for part in parts)
    assert all(body["query"] == query and body["return_documents"] is False for body in bodies)
    assert all(
        body.get("top_n") == (top_n and min(top_n, part.count)) for body, part in zip(bodies, parts, strict=True)
    )


@given(st.lists(st.text(min_size=1, max_size=40), min_size=2, max_size=20), st.integers(400, 700))
def test_a_part_is_closed_only_when_the_next_document_does_not_fit(documents: list[str], max_bytes: int) -> None:
    """No request is wasted: a part and the first document of the next exceed the limit together."""
    parts = split("q", documents, {}, max_bytes=max_bytes)
    merged = [split("q", documents[a.start : b.start + 1], {}) for a, b in itertools.pairwise(parts)]

    assert all(len(part[0].body) > max_bytes for part in merged)


def test_a_document_that_exactly_fits_is_sent_and_one_byte_more_is_refused() -> None:
    """The limit is the serialized body's length, not the text's: quotes and escapes count."""
    exact = len(split("q", ['say "ä"\n'], {"return_documents": False}, top_n=3)[0].body)

    assert exact == len(split("q", ['say "ä"\n'], {"return_documents": False}, top_n=3, max_bytes=exact)[0].body)
    with pytest.raises(
        DocumentTooLarge, match=f"Document 1 makes a request of {exact + 1} bytes; the limit is {exact}"
    ):
        split("q", ["a", 'say "ä"\n!'], {"return_documents": False}, top_n=1, max_bytes=exact)


def test_a_query_over_the_limit_is_refused_by_name() -> None:
    """Splitting documents cannot help when the query alone is too long."""
    with pytest.raises(InvalidCall, match="query alone"):
        split("q" * 1000, ["a"], {}, max_bytes=500)


def test_lone_surrogates_are_sent_as_escapes() -> None:
    """What UTF-8 cannot say still arrives: JSON can."""
    body = split("a\ud800b", ["\udfff", "ä"], {})[0].body

    assert {"query": "a\ud800b", "documents": ["\udfff", "ä"]} == json.loads(body)


def test_objects_are_sent_as_their_text() -> None:
    """Whatever else a document object carries stays at home."""
    assert ["a"] == json.loads(split("q", [{"text": "a", "id": 7}], {})[0].body)["documents"]


@pytest.mark.parametrize("document", [None, 3, {"title": "x"}, {"text": 4}])
def test_anything_without_text_is_refused_by_index(document: object) -> None:
    """The message names the position and the value."""
    with pytest.raises(InvalidCall, match="Document 1 is"):
        split("q", ["fine", document], {})  # type: ignore[list-item]
