"""One table of requests, three doors: our server's process, AWS's handler service, the local AWS's InvokeEndpoint.

Each must answer each request with the same status and the same body. What differs by nature is set aside: ids that are
new in every answer, times of day, and the last digits of scores that were computed in other batches.
Bodies above 6,291,456 bytes are not in the table: InvokeEndpoint refuses them itself, before any model sees them.
"""

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.serving import make_server

from rerank_engine.dialects import DIALECTS

pytestmark = pytest.mark.e2e

CLOSE = 1e-5
DOCUMENTS = ["Add instances.", "Bananas are yellow.", "Scale on concurrent requests per model."]
JSON, LINES = "application/json", "application/jsonlines"
Asked = tuple[bytes, str, str]  # body, content type, accept
Told = tuple[int, Any]
Door = Callable[[Asked], Told]
_HEX = re.compile(r"\b[0-9a-f]{32}\b")


def good(text: str) -> str:
    """A dialect's example with real texts in the places of its dots."""
    parts = iter([*DOCUMENTS, *DOCUMENTS])
    return re.sub("…", lambda _: next(parts), text)


def of(payload: object, content_type: str = JSON, accept: str = JSON) -> Asked:
    body = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    return body, content_type, accept


EVERY_OPTION = {
    "queries": ["pods", "scale"],
    "documents": [{"title": "pods", "body": "pods " * 200, "page": 7}, {"title": "rain"}, "plain"],
    "rank_fields": ["title", "body"],
    "top_n": 2,
    "order": "input",
    "score": "raw",
    "score_threshold": -100,
    "return_documents": True,
    "max_tokens_per_doc": 150,
    "max_tokens_per_query": 9,
    "max_chunks_per_doc": 3,
    "chunk_tokens": 40,
    "chunk_overlap": 4,
    "aggregate": "mean_top_k",
    "aggregate_top_k": 2,
    "truncate": True,
    "id": "all",
}
NATIVE = {"query": "scale", "documents": DOCUMENTS, "order": "input", "return_documents": True}
GOOD = [good(dialect.example) for dialect in DIALECTS]
TABLE: dict[str, Asked] = {
    **{f"{dialect.name}": of(text.encode()) for dialect, text in zip(DIALECTS, GOOD, strict=True)},
    **{f"{dialect.name}, misspelt": of({**json.loads(dialect.example), "topn": 1}) for dialect in DIALECTS},
    **{
        f"native, score {score}": of({"rerank": {**NATIVE, "score": score}})
        for score in ("raw", "sigmoid", "calibrated")
    },
    "native, several": of({"rerank": [{**NATIVE, "id": 1}, {"queries": ["a", "b"], "documents": ["c"]}]}),
    "native, chunks": of({"rerank": {**NATIVE, "documents": ["pods " * 300, "x"], "chunk_tokens": 100}}),
    "native, every option": of({"rerank": EVERY_OPTION}),
    "cohere v1, some fields": of(
        {"api_version": 1, "query": "q", "documents": [{"a": "x", "b": "y"}], "rank_fields": ["b"], "top_n": 1}
    ),
    "cohere v1, chunks": of({"api_version": 1, "query": "q", "documents": ["pods " * 9], "max_chunks_per_doc": 1}),
    "a megabyte": of({"api_version": 2, "query": "q", "documents": ["pods " * 200_000], "max_tokens_per_doc": 64}),
    "empty texts": of({"query": "", "documents": ["", "", "a"]}),
    "odd characters": of(rb'{"query": "\ud800", "documents": ["a\u0000b", "\ud83d\ude00", "\ud83d", "\u202e"]}'),
    "emoji, unescaped": of({"query": "🍌", "documents": ["🍌🍌", "é"]}),
    "objects": of({"query": {"text": "q"}, "documents": [{"text": "a", "id": 7}, "b"]}),
    "duplicates": of({"query": "q", "documents": ["a", "a", "b"], "top_n": 2}),
    "top_n above": of({"query": "q", "documents": ["a"], "top_n": 99}),
    "too long, not to be cut": of({"query": "q", "documents": ["pods " * 9], "max_doc_length": 5, "truncate": False}),
    "cut": of({"query": "q", "documents": ["pods " * 9, "x"], "max_doc_length": 5}),
    "charset": of('{"query": "é", "documents": ["ü"]}'.encode("latin-1"), f"{JSON}; charset=latin-1"),
    "utf-16": of('{"query": "é", "documents": ["ü"]}'.encode("utf-16"), f"{JSON}; charset=utf-16"),
    "bom": of(b'\xef\xbb\xbf{"query": "q", "documents": ["a"]}', f"{JSON}; charset=utf-8"),
    "duplicate keys": of(b'{"query": "q", "query": "r", "documents": ["a"]}'),
    "accept anything": of(GOOD[0].encode(), JSON, "*/*"),
    "not acceptable": of(GOOD[0].encode(), JSON, "text/csv"),
    "html": of(GOOD[0].encode(), "text/html"),
    "numpy": of(GOOD[0].encode(), "application/x-npy"),
    "unknown charset": of(GOOD[0].encode(), f"{JSON}; charset=punycode"),
    "empty": of(b"", f"{JSON}; charset=utf-8"),
    "blank": of(b" \n ", f"{JSON}; charset=utf-8"),
    "cut off": of(b'{"query": "q", "documents": ["a"'),
    "not JSON": of(b"query=q"),
    "NaN": of(b'{"query": "q", "documents": ["a"], "top_n": NaN}'),
    "1e999": of(b'{"rerank": {"query": "q", "documents": ["a"], "score_threshold": 1e999}}'),
    "deep": of(b"[" * 100_000),
    "a list": of([1, 2]),
    "null": of(b"null"),
    "no known shape": of({"hello": "world"}),
    "ambiguous": of({"texts": ["a"], "inputs": [{"text": "q", "text_pair": "a"}]}),
    "wrong everywhere": of({"query": 1, "documents": [1, {"txt": "a"}, None], "top_n": 0, "return_documents": "no"}),
    "no documents": of({"query": "q", "documents": []}),
    "lines": of("\n".join(GOOD).encode(), LINES, LINES),
    "lines, several queries in each": of(
        b'{"rerank": {"queries": ["a", "b"], "documents": ["c"]}}\n{"data": [{"query": "a", "documents": ["c"]}]}',
        LINES,
        LINES,
    ),
    "lines, some faulty": of(
        b"\n".join([GOOD[0].encode(), b"", b"{", b"\xff", b"{}", GOOD[4].encode(), b""]), LINES, LINES
    ),
    "lines, one": of(GOOD[0].encode(), "application/x-ndjson", "application/x-ndjson"),
    "lines, empty": of(b"", "application/jsonl", "application/jsonl"),
    "rows": of(b'1,q,"[""a"", ""b""]",1\n2,"say ""q""","[""c""]",\nrubbish', "text/csv", LINES),
    "rows, escaped": of(
        rb"""07,where's the dog,[{\"text\": \"in my house\"}\, {\"text\": \"cat\"}],2""" + b"\n8,q,[1],1",
        "text/csv",
        LINES,
    ),
}


def still(value: Any, key: str = "") -> Any:
    """`value` without what is new in every answer."""
    if isinstance(value, dict):
        return {name: still(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [still(inner) for inner in value]
    if isinstance(value, str):
        return _HEX.sub("…", value)
    return 0 if key == "created" else value


def near(value: Any) -> Any:
    """`value`, its fractions equal to those that differ in their last digits only."""
    if isinstance(value, dict):
        return {name: near(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [near(inner) for inner in value]
    return pytest.approx(value, abs=CLOSE) if isinstance(value, float) else value


def told(status: int, body: bytes) -> Told:
    return status, [still(json.loads(line)) for line in body.split(b"\n")]


@pytest.fixture(scope="module", params=["realtime", "batch"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Of the container: a real-time endpoint's, or a batch transform job's."""
    return {"SAGEMAKER_BATCH": "true"} if request.param == "batch" else {}


@pytest.fixture(scope="module")
def process(serve_all: Callable[..., Any], environment: dict[str, str]) -> Iterator[Door]:
    """Our server's process."""
    server = serve_all(RERANK_THREADS="1", **environment)
    server.event("ready")
    with server.client() as client:

        def ask(asked: Asked) -> Told:
            body, content_type, accept = asked
            answer: httpx.Response = client.post(
                "/invocations", content=body, headers={"Content-Type": content_type, "Accept": accept}
            )
            return told(answer.status_code, answer.content)

        yield ask


@pytest.fixture(scope="module")
def endpoint(bundle_dir: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """An endpoint of the local AWS, asked with boto3."""
    from rerank_local.data.endpoints.fleet import EndpointFleet
    from rerank_local.data.endpoints.runtime import wsgi_invoke
    from rerank_local.data.values import VariantSpec

    archive = (bundle_dir.parent / "model.tar.gz").read_bytes()
    fleet = EndpointFleet(lambda _: io.BytesIO(archive), tmp_path_factory.mktemp("fleet"))
    server = make_server("127.0.0.1", 0, lambda *call: wsgi_invoke(fleet, *call), threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def ask(asked: Asked) -> Told:
        body, content_type, accept = asked
        try:
            answer = runtime.invoke_endpoint(
                EndpointName="contract", Body=body, ContentType=content_type, Accept=accept
            )
        except ClientError as error:
            return told(error.response["OriginalStatusCode"], error.response["OriginalMessage"].encode())
        return told(answer["ResponseMetadata"]["HTTPStatusCode"], answer["Body"].read())

    try:
        told_to = {"RERANK_THREADS": "1", **environment}
        fleet.start("contract", [VariantSpec(name="main", model_data_url="s3://b/m.tar.gz", environment=told_to)])
        yield ask
    finally:
        server.shutdown()
        fleet.stop_all()


@pytest.fixture(scope="module")
def answers(process: Door, endpoint: Door) -> dict[str, tuple[Told, Told]]:
    """What the server and the endpoint answer to the whole table, asked before AWS's toolkit swaps modules."""
    return {name: (process(asked), endpoint(asked)) for name, asked in TABLE.items()}


@pytest.fixture(scope="module")
def toolkit(
    answers: object, start: Callable[[Path], Callable[..., Any]], bundle_dir: Path, environment: dict[str, str]
) -> Door:
    """AWS's handler service, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        invoke = start(bundle_dir)

    def ask(asked: Asked) -> Told:
        body, content_type, accept = asked
        sent = invoke(body, Content_Type=content_type, Accept=accept)
        return told(sent.status, sent.body)

    return ask


@pytest.mark.parametrize("name", TABLE)
def test_every_door_answers_alike(name: str, answers: dict[str, tuple[Told, Told]], toolkit: Door) -> None:
    """The same status and the same body."""
    server, endpoint = answers[name]

    assert (server[0], near(server[1])) == endpoint
    assert (server[0], near(server[1])) == toolkit(TABLE[name])
