"""The jina-sagemaker client's envelope: JSON, and both forms of its CSV rows."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from rerank_engine.dialects import Answer
from rerank_engine.dialects.csv_rows import payload_of
from rerank_engine.dialects.jina_sagemaker import JinaSagemaker
from rerank_engine.errors import RerankError
from rerank_engine.service.service import Service
from rerank_engine.types import RerankResult

Ask = Callable[..., tuple[int, Any]]
BEST, OTHER = 0.598687660112452, 0.549833997312478
DOCUMENTS = [{"text": 'a, "b"'}, {"text": "c\\d\ne"}]
PAYLOAD = {"data": {"id": "07", "query": "where's, the dog", "documents": DOCUMENTS, "top_n": 2}}


def row(**form: Any) -> str:
    """PAYLOAD as a CSV row of a given form."""
    target = io.StringIO()
    data = PAYLOAD["data"]
    columns = [data["id"], data["query"], json.dumps(data["documents"]), data["top_n"]]
    csv.writer(target, lineterminator="", **form).writerow(columns)
    return target.getvalue()


def entry(mark: str, index: int, text: str, score: float, tokens: int) -> dict[str, Any]:
    """One result."""
    own = f"{mark}-{index}"
    return {
        "id": own,
        "index": index,
        "document": {"id": f"{own}-document", "text": text},
        "relevance_score": score,
        "usage": {"id": f"{own}-usage", "total_tokens": tokens},
    }


def test_answers(ask: Ask) -> None:
    """Under "data", with documents, usage of query and documents, and no parameters."""
    expected = {
        "data": [
            {
                "id": "…",
                "query_usage": {"id": "…-query", "total_tokens": 1},
                "results": [entry("…", 1, "bbb", BEST, 3), entry("…", 0, "a", OTHER, 1)],
            }
        ],
        "parameters": {},
    }
    assert (200, expected) == ask({"data": {"query": "q", "documents": [{"text": "a"}, {"text": "bbb"}]}})


def test_several_queries(ask: Ask) -> None:
    """A list under "data" is answered by a list, each by its own id if it has one."""
    calls = [{"query": "q", "documents": ["bbb", "a"], "top_n": 1, "id": "x"}, {"query": "q", "documents": ["a"]}]

    _, body = ask({"data": calls})

    assert [entry("x", 0, "bbb", BEST, 3)] == body["data"][0]["results"]
    assert ("x", "…-1") == (body["data"][0]["id"], body["data"][1]["id"])


def test_says_what_was_cut(ranked: Callable[..., RerankResult], answer: Answer) -> None:
    """Beside the data, and only when there is something to say."""
    request = JinaSagemaker().parse({"data": {"query": "q", "documents": ["a", "b"]}})

    bodies: Any = [JinaSagemaker().render(request, [ranked(cut=one)], answer) for one in ((1,), ())]
    cut, whole = bodies

    assert ["1 of the documents were cut to fit: 1."] == cut["warnings"]
    assert {"data", "parameters"} == set(whole)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"data": None}, "data"),
        ({"data": []}, "data"),
        ({"data": ["q"]}, "data -> 0"),
        ({"data": {"query": "q"}}, "data -> documents"),
        ({"data": [{"query": "q", "documents": ["a", "too long"]}]}, "data -> 0 -> documents -> 1"),
        ({"data": {"query": "q", "documents": ["a"], "topn": 1}}, "data -> topn"),
        ({"data": {"query": "q", "documents": ["a"]}, "parameters": {"top_n": 1}}, "parameters"),
    ],
)
def test_errors_are_jinas(ask: Ask, payload: object, field: str) -> None:
    """A 422 names the field within the envelope, under `detail` as Jina does."""
    status, body = ask(payload)

    assert (422, [f"body -> {field}"]) == (status, [fault["field"] for fault in body["errors"]])


@pytest.mark.parametrize(
    "text",
    [
        row(quoting=csv.QUOTE_NONE, escapechar="\\", quotechar=None),
        row(quoting=csv.QUOTE_NONE, escapechar="\\"),
        row(quoting=csv.QUOTE_ALL),
        row(quoting=csv.QUOTE_MINIMAL),
        row(quoting=csv.QUOTE_ALL) + "\r",
    ],
)
def test_csv_rows(text: str) -> None:
    """Escaped, quoted throughout and quoted where needed: the same request."""
    assert PAYLOAD == payload_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '0793,where\'s the dog,[{\\"text\\": \\"in my house\\"}\\, {\\"text\\": \\"cat\\"}],2',
            {
                "id": "0793",
                "query": "where's the dog",
                "documents": [{"text": "in my house"}, {"text": "cat"}],
                "top_n": 2,
            },
        ),
        (
            '"0793","dog","[{\\""text\\"": \\""in, my house\\""}\\"," {\\""text\\"": \\""cat\\""}]","2"',
            {"id": "0793", "query": "dog", "documents": [{"text": "in, my house"}, {"text": "cat"}], "top_n": 2},
        ),
        ('"dog","[""a"", ""b""]"', {"query": "dog", "documents": ["a", "b"], "top_n": None}),
        ('dog,[\\"a\\"],1', {"query": "dog", "documents": ["a"], "top_n": 1}),
        ('1,dog,"[""a""]",many', {"id": "1", "query": "dog", "documents": ["a"], "top_n": "many"}),
    ],
)
def test_rows_as_published_and_as_torn(text: str, expected: object) -> None:
    """The client's sample, what its own helper makes of it, and rows without id or top_n."""
    assert {"data": expected} == payload_of(text)


@pytest.mark.parametrize("text", ["", " ", "id,query,documents,top_n", "1,q,[", '1,q,{"a": 1},2', '"', "a\x00b"])
def test_rows_that_are_none(text: str) -> None:
    """What has no list of documents in it is an error, never a crash."""
    with pytest.raises(RerankError):
        payload_of(text)


def test_a_file_of_rows(make_service: Callable[..., Service]) -> None:
    """A line out for each row in, faults in place with their id, the same bytes when it is run again."""
    rows = ['1,q,[\\"a\\"\\, \\"bbb\\"],1', "", '2,q,[\\"a\\"],0', '"3","q","[""a""]","1"']
    service = make_service(batch=True)

    first, second = (service.handle("\n".join(rows), "text/csv; charset=utf-8", None) for _ in range(2))

    lines = [json.loads(line) for line in first.body.split(b"\n")]
    assert ("application/jsonlines", first.body) == (first.content_type, second.body)
    assert [200, 400, 422, 200] == [line.get("status", 200) for line in lines]
    assert ("1", "2", "3") == (lines[0]["data"][0]["id"], lines[2]["id"], lines[3]["data"][0]["id"])
