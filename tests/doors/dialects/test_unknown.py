"""Errors before anything tells the caller's format: one body in which every known client finds the reason."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from rerank_engine.service.service import Service

MakeService = Callable[..., Service]
GOOD = '{"query": "q", "documents": ["a"]}'


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "code"),
    [
        ("query=q", "application/x-www-form-urlencoded", None, 415, "unsupported_media_type"),
        (GOOD, "application/json", "text/html", 406, "not_acceptable"),
        (" " * 2000, "application/json", None, 413, "payload_too_large"),
        ("", "application/json", None, 400, "malformed_body"),
        ("<html>", "application/json", None, 400, "malformed_body"),
    ],
)
def test_every_client_finds_the_reason(
    make_service: MakeService, body: str, content_type: str, accept: str | None, status: int, code: str
) -> None:
    """LangChain, LlamaIndex and Haystack under `detail`, cohere under `message`, OpenAI's and TEI's under `error`."""
    reply = make_service(max_body_bytes=1024).handle(body, content_type, accept, path="/invocations")

    told = json.loads(reply.body)
    message, mark = told["message"], told["id"]
    expected = {
        "detail": {"message": message, "request_id": mark, "code": code},
        "message": message,
        "error": message,
        "code": code,
        "status": status,
        "id": mark,
        "request_id": mark,
    }
    assert (status, expected) == (reply.status, told)


def test_a_shape_that_nobody_has_lists_its_faults(make_service: MakeService) -> None:
    """A 422 of no known format has Jina's list of errors beside the reason; the examples stand under `detail` alone."""
    told = json.loads(make_service().handle('{"hello": 1}', "application/json").body)

    assert "The body has none of the known shapes." == told["message"]
    assert told["detail"].startswith(f"Validation error: {told['message']} Send jina: ")
    assert (["body"], 422) == ([error["field"] for error in told["errors"]], told["status"])


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("payload", [{"query": "q", "documents": ["a"]}, {"hello": 1}, [1]])
def test_json_that_was_encoded_twice_is_told(make_service: MakeService, payload: Any, times: int) -> None:
    """A string with JSON in it is no unknown format: the caller encoded once too often."""
    body: Any = payload
    for _ in range(times):
        body = json.dumps(body)
    reply = make_service().handle(body, "application/json")

    told = json.loads(reply.body)
    assert (422, True) == (
        reply.status,
        told["error"].startswith("The body is JSON within a JSON string: it was encoded"),
    )
    assert "Encode the object once" in told["detail"]
    assert "none of the known shapes" not in told["detail"]


def test_json_encoded_twice_in_a_line_costs_no_other(make_service: MakeService) -> None:
    """JSON Lines: the line has its error in its place."""
    body = json.dumps(GOOD) + "\n" + GOOD

    lines = make_service().handle(body, "application/jsonlines").body.splitlines()

    assert "encoded twice" in json.loads(lines[0])["error"]
    assert "results" in json.loads(lines[1])


@pytest.mark.parametrize("text", ["hello", "{not json", '"'])
def test_a_mere_string_is_of_no_known_shape(make_service: MakeService, text: str) -> None:
    """It is not taken for JSON."""
    told = json.loads(make_service().handle(json.dumps(text), "application/json").body)

    assert "The body has none of the known shapes." == told["message"]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/v2/rerank", {"message", "id"}),
        ("/score", {"error"}),
        ("/v1/score", {"error"}),
    ],
)
def test_a_path_of_one_format_alone_answers_in_it(make_service: MakeService, path: str, keys: set[str]) -> None:
    """Where the path tells the format, errors have its shape before a byte is read."""
    told = json.loads(make_service().handle("", "text/html", path=path).body)

    assert keys == set(told)


LARGE = "x" * 2000
PAIR = {"text": LARGE, "text_pair": "d"}
DOCUMENTS = [LARGE]
MANY = ["a"] * 40


@pytest.mark.parametrize(
    ("payload", "tip"),
    [
        ({"query": "q", "documents": DOCUMENTS}, 'Send "return_documents": false, a smaller "top_n", or fewer'),
        ({"data": {"query": "q", "documents": DOCUMENTS}}, 'Send "return_documents": false, a smaller "top_n"'),
        (
            {"api_version": 1, "query": "q", "documents": DOCUMENTS, "return_documents": True},
            'Send "return_documents": false, a smaller "top_n"',
        ),
        ({"api_version": 2, "query": "q", "documents": MANY}, 'Send a smaller "top_n", or fewer documents.'),
        ({"query": "q", "texts": DOCUMENTS, "return_text": True}, 'Send "return_text": false, or fewer "texts".'),
        ({"inputs": [PAIR] * 40}, 'Send fewer pairs in "inputs".'),
        ({"text_pairs": [["q", "d"]] * 60}, 'Send fewer "text_pairs".'),
        (
            {"query": "q", "documents": DOCUMENTS, "use_activation": True},
            'Send a smaller "top_n", or fewer documents: ',
        ),
        ({"text_1": "q", "text_2": MANY}, "Send fewer documents."),
        (
            {"input": DOCUMENTS, "query": "q", "return_documents": True},
            'Send "return_documents": false, a smaller "top_n", or fewer texts in "input".',
        ),
        ({"query_text": "q", "text_docs": MANY}, 'Send fewer "text_docs".'),
        (
            {"rerank": {"query": "q", "documents": DOCUMENTS, "return_documents": True}},
            'Send "return_documents": false, a smaller "top_n"',
        ),
    ],
)
def test_an_answer_too_large_names_the_callers_own_field(make_service: MakeService, payload: Any, tip: str) -> None:
    """What makes an answer smaller is told in the words of the format that asked for it."""
    reply = make_service(max_response_bytes=1024).handle(json.dumps(payload), "application/json")

    assert 413 == reply.status
    assert tip in "".join(_texts(json.loads(reply.body)))


def test_lines_that_are_too_large_together(make_service: MakeService) -> None:
    """Fewer lines help as well."""
    body = "\n".join([json.dumps({"query": "q", "texts": DOCUMENTS, "return_text": True})] * 2)

    reply = make_service(max_response_bytes=1024).handle(body, "application/jsonlines")

    assert json.loads(reply.body)["error"].endswith('or fewer "texts". Or send fewer lines.')


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


WORST = {"documents": [{"text": 5, "k" * 99: 1}] * 50, **{f"{'key' * 30}{number}": "v" * 200 for number in range(40)}}


@pytest.mark.parametrize(
    "payload",
    [
        {"hello": 1},
        {"texts": [], "inputs": []},
        {"rank_fields": [], "truncation": True, "query": "q"},
        WORST,
        {"rerank": WORST},
        {"data": WORST},
        {"api_version": 1, **WORST},
        {"texts": [5] * 50, **WORST},
        {"inputs": [{"text": 1, "x" * 99: 1}] * 50},
        {"text_pairs": [["a"]] * 50},
        {"text_1": [5] * 50, **WORST},
        {"query_text": "q", **WORST},
        {"input": [5] * 50, **WORST},
    ],
)
def test_error_bodies_fit_into_what_sagemaker_hands_over(make_service: MakeService, payload: Any) -> None:
    """InvokeEndpoint shows 2,048 characters of them: what does not fit is left out, and counted, not torn."""
    reply = make_service().handle(json.dumps(payload), "application/json")

    assert (422, True) == (reply.status, len(reply.body) <= 2048), (len(reply.body), reply.body)
    json.loads(reply.body)


def test_faults_that_are_left_out_are_counted(make_service: MakeService) -> None:
    """Those shown are the first of them."""
    told = json.loads(make_service().handle(json.dumps({"rerank": WORST}), "application/json").body)

    [left_out] = re.findall(r"; and (\d+) more\.$", told["error"])
    assert 20 == len(told["errors"]) + int(left_out)
    assert ["rerank", "query"] == told["errors"][0]["field"]
