"""Bytes in, bytes out: the same behind every door."""

import gzip
import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rerank_engine.hosting import Hosting
from rerank_engine.service.exchange import HttpReply
from rerank_engine.service.scoring import Engine
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings

MakeService = Callable[..., Service]
GOOD = '{"query": "q", "documents": ["a", "bbb"]}'
POISONED = '{"query": "q", "documents": ["a", "☠"]}'
LINES = "application/jsonlines"


def scores(reply: HttpReply) -> list[int]:
    """Indices of a JSON answer's documents, best first."""
    return [entry["index"] for entry in json.loads(reply.body)["results"]]


@pytest.mark.parametrize("body", [GOOD, GOOD.encode(), bytearray(GOOD.encode()), b"\xef\xbb\xbf" + GOOD.encode()])
def test_answers(make_service: MakeService, body: bytes | bytearray | str) -> None:
    """Text, bytes and bytearrays are answered alike, with or without a byte order mark."""
    reply = make_service().handle(body, "application/json; charset=UTF-8")

    assert (200, "OK", "application/json") == (reply.status, reply.phrase, reply.content_type)
    assert [1, 0] == scores(reply)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "code"),
    [
        (b"", None, None, 400, "malformed_body"),
        (b"  \n", "application/json", None, 400, "malformed_body"),
        (b"{", "application/json", None, 400, "malformed_body"),
        (b"\xff\xfe", "application/json", None, 400, "malformed_body"),
        (b"[" * 200_000, "application/json", None, 400, "malformed_body"),
        (b'{"query": NaN, "documents": []}', "application/json", None, 400, "malformed_body"),
        (b"{}", "application/xml", None, 415, "unsupported_media_type"),
        (b"{}", "application/json; charset=x-none", None, 415, "unsupported_media_type"),
        (GOOD.encode(), "application/json", "text/html", 406, "not_acceptable"),
        (b" " * 2000, "application/json", None, 413, "payload_too_large"),
        (POISONED.encode(), "application/json", None, 500, "not_finite"),
    ],
)
def test_faults(
    make_service: MakeService, body: bytes, content_type: str | None, accept: str | None, status: int, code: str
) -> None:
    """Each fault has its status, and a body in the caller's dialect."""
    reply = make_service(max_body_bytes=1024 if b" " * 2000 == body else 6_291_456).handle(body, content_type, accept)

    detail = json.loads(reply.body)["detail"]
    assert (status, code) == (reply.status, detail["code"])
    assert len(detail["request_id"]) == 32


@pytest.mark.parametrize("body", ["[]", "5", "{}", '{"query": "q"}', '{"query": "q", "documents": ["a"], "topn": 1}'])
def test_invalid_requests(make_service: MakeService, body: str) -> None:
    """A request that is JSON but not a request is a 422 that lists its errors."""
    reply = make_service().handle(body, "application/json")

    answer = json.loads(reply.body)
    assert (422, True) == (reply.status, bool(answer["errors"]))
    assert answer["detail"].startswith("Validation error: ")


def test_engine_errors_are_answered_in_the_dialect(make_service: MakeService) -> None:
    """What the engine finds wrong with a request is a 422 as well."""
    reply = make_service().handle('{"query": "too long", "documents": ["a"]}', "application/json")

    assert (422, []) == (reply.status, json.loads(reply.body)["errors"])


def test_json_lines(make_service: MakeService) -> None:
    """One answer per line, in order, no newline at the end; faults stand in their record's place, with the id."""
    faulty = '{"id": "x", "query": "q"}'
    reply = make_service().handle("\n".join([GOOD, "", "{", faulty, POISONED, GOOD]) + "\n", LINES, "application/json")

    answers = [json.loads(line) for line in reply.body.split(b"\n")]
    assert (200, LINES) == (reply.status, reply.content_type)
    assert [None, 400, 400, 422, 500, None] == [answer.get("status") for answer in answers]
    assert {
        "id": "x",
        "error": "'documents' is missing.",
        "status": 422,
        "code": "invalid_request",
        "errors": [{"field": ["documents"], "message": "is missing"}],
    } == answers[3]
    assert answers[0] == answers[5]


def test_json_lines_share_a_forward_pass(make_service: MakeService, engine: object) -> None:
    """The records of one body are scored together."""
    make_service().handle("\n".join(GOOD.replace('"q"', f'"q{number}"') for number in range(8)), LINES)

    assert [16] == engine.passes


@pytest.mark.parametrize("entries", [0, 10])
def test_equal_pairs_of_a_body_are_scored_once(make_service: MakeService, engine: object, entries: int) -> None:
    """Across records: whoever asks the same gets the same, and errors where the others got them."""
    body = "\n".join([GOOD, POISONED, GOOD.replace('["a", "bbb"]', '["bbb", "x", "a"]'), POISONED])

    reply = make_service(cache_entries=entries).handle(body, LINES)

    answers = [json.loads(line) for line in reply.body.split(b"\n")]
    scores_of = [
        {entry["document"]: entry["relevance_score"] for entry in answer["results"]} for answer in answers[::2]
    ]
    assert scores_of[0] == {text: scores_of[1][text] for text in ("a", "bbb")}
    assert [None, 500, None, 500] == [answer.get("status") for answer in answers]
    assert 4 == engine.passes[0]  # type: ignore[attr-defined]


def test_json_lines_are_the_same_twice(make_service: MakeService) -> None:
    """Errors in place carry nothing random: a batch job run twice writes the same bytes."""
    service = make_service()

    first, second = (service.handle(f"{GOOD}\n\nx", LINES) for _ in range(2))

    assert first.body == second.body


def test_a_batch_job_survives_a_bad_record(make_service: MakeService) -> None:
    """In a batch transform job a bad JSON record is answered in place, with 200: it must not cost the file."""
    reply = make_service(batch=True).handle('{"query": "q"}', "application/json")

    assert (200, 422) == (reply.status, json.loads(reply.body)["status"])


def test_a_batch_job_reads_lines_whatever_they_are_called(make_service: MakeService) -> None:
    """MultiRecord puts many lines into one body: each gets its line, a bad one its error, no newline at the end."""
    body = "\n".join([GOOD, "", "{", '\ufeff{"id": "x", "query": "q"}\r', GOOD.replace("bbb", "b\u2028\\fb")]) + "\n"

    reply = make_service(batch=True).handle(body.encode(), "application/json", "application/json")

    answers = [json.loads(line) for line in reply.body.split(b"\n")]
    assert (200, [None, 400, 400, 422, None]) == (reply.status, [answer.get("status") for answer in answers])


@pytest.mark.parametrize("kind", ["application/json", LINES])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (gzip.compress(f"{GOOD}\n{GOOD}".encode(), mtime=0), "compressed (gzip)"),
        (f"{GOOD}\n{GOOD}".encode("utf-16"), "utf-16"),
        (json.dumps(json.loads(GOOD), indent=1).encode(), "JSON over"),
        (b"\n".join([json.dumps(json.loads(GOOD), indent=1).encode()] * 2), "JSON over"),
        (f"[\n{GOOD},\n{GOOD}\n]\n".encode(), "JSON over"),
        (f"{GOOD}\r{GOOD}\r".encode(), "carriage returns"),
        (f"{GOOD}\n{GOOD}\r{GOOD}\n".encode(), "carriage returns"),
    ],
)
def test_a_batch_job_fails_where_records_cannot_be_told_apart(
    make_service: MakeService, kind: str, body: bytes, reason: str
) -> None:
    """A call that fails costs its file and is seen; a 200 with too few lines would cost records that nobody misses."""
    reply = make_service(batch=True).handle(body, kind)

    assert 400 == reply.status
    assert reason in json.loads(reply.body)["detail"]["message"]


def test_csv_called_json_fails_a_batch_job(make_service: MakeService) -> None:
    """The message says what to call it."""
    reply = make_service(batch=True).handle(b'1,q,["a"],1\n2,q,["b"],1\n', "application/json")

    assert (400, True) == (reply.status, b"text/csv" in reply.body)


def test_csv_with_carriage_returns_alone_fails(make_service: MakeService) -> None:
    """Rows that no line feed parts cannot be counted."""
    assert 400 == make_service(batch=True).handle(b'1,q,["a"],1\r2,q,["b"],1', "text/csv").status


def test_a_single_record_is_the_same_alone_and_among_others(make_service: MakeService) -> None:
    """SingleRecord and MultiRecord write the same bytes, whatever the lines are called."""
    service = make_service(batch=True)
    lines = [GOOD, GOOD.replace("bbb", "bb")]

    alone = [service.handle(f"{line}\n", "application/json").body for line in lines]

    assert service.handle("\n".join(lines), "application/json").body == b"\n".join(alone)
    assert service.handle("\n".join(lines), LINES).body == b"\n".join(alone)


def test_a_batch_job_with_a_wrong_content_type_fails(make_service: MakeService) -> None:
    """A fault of the whole job is not hidden record by record."""
    reply = make_service(batch=True).handle(GOOD, "application/xml")

    assert 415 == reply.status


def test_an_answer_too_large_names_the_remedy(make_service: MakeService) -> None:
    """An answer above SageMaker's limit is a 413 that says what makes it smaller; batch jobs have no limit."""
    body = json.dumps({"query": "q", "documents": ["x" * 2000]})

    realtime = make_service(max_response_bytes=1024).handle(body, "application/json")
    batch = make_service(max_response_bytes=1024, batch=True).handle(body, "application/json")

    assert (413, 200) == (realtime.status, batch.status)
    assert '"return_documents": false' in json.loads(realtime.body)["detail"]["message"]


USAGE = "query_tokens=1;document_tokens=4;total_tokens=6;pairs=2;queue_ms=0.0;"


@pytest.mark.parametrize(
    ("attributes", "answered", "refused"),
    [
        (None, USAGE, ""),
        ("", USAGE, ""),
        ("trace=1", f"trace=1;{USAGE}", "trace=1"),
        ("a\r\nSet-Cookie: b", f"aSet-Cookie: b;{USAGE}", "aSet-Cookie: b"),
        ("grün;", f"grn;{USAGE}", "grn;"),
        ("x" * 2000, "x" * 1024, "x" * 1024),
    ],
)
def test_custom_attributes_come_back_with_usage(
    make_service: MakeService, attributes: str | None, answered: str, refused: str
) -> None:
    """The caller's attributes come first, tokens and times after them, within what SageMaker lets out."""
    service = make_service()

    good, bad = (service.handle(body, "application/json", None, attributes) for body in (GOOD, "{"))

    told = good.headers["X-Amzn-SageMaker-Custom-Attributes"]
    assert told.startswith(answered)
    assert told.isascii()
    assert len(told) <= 1024
    assert refused == bad.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")


def test_payload_limit_of_a_batch_job(engine: Engine) -> None:
    """SAGEMAKER_MAX_PAYLOAD_IN_MB raises the largest body in a batch job, and only there."""
    job = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20"}

    limits = [
        Service(engine, Settings(), hosting=Hosting.from_env(env)).max_body_bytes
        for env in (job, {**job, "SAGEMAKER_BATCH": "false"}, {**job, "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1"})
    ]

    assert [20 * 2**20, 6_291_456, 6_291_456] == limits


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near_requests = st.fixed_dictionaries(
    {},
    optional={
        "query": st.text() | values,
        "documents": st.lists(st.text() | st.fixed_dictionaries({"text": st.text() | values}) | values) | values,
        "top_n": st.integers() | values,
        "max_doc_length": st.integers() | values,
        "return_documents": st.booleans() | values,
        "truncate": st.booleans() | values,
        "id": values,
        "other": values,
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary() | near_requests.map(lambda payload: json.dumps(payload).encode()),
    content_type=st.sampled_from([None, "application/json", LINES, "application/json; charset=utf-16", "a/b"]),
)
def test_anything_is_answered(engine: Engine, body: bytes, content_type: str | None) -> None:
    """Whatever is sent, the answer is a 4xx or a 200 whose lines are JSON: never a crash, never a 500."""
    reply = Service(engine, Settings()).handle(body, content_type)

    assert reply.status in (200, 400, 415, 422)
    assert all(json.loads(line) for line in reply.body.split(b"\n"))
