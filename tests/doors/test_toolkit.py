"""AWS's real handler service, driven in-process on an unpacked bundle: what MMS would send to SageMaker.

Real: HuggingFaceHandlerService of sagemaker-huggingface-inference-toolkit, Service and wire format of
multi-model-server. Not here: MMS's Java half (see test_mms.py), and transformers (see `toolkit_shim`).
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
GOOD = '{"query": "How do I scale an endpoint?", "documents": ["Add instances.", {"text": "Bananas."}]}'

Invoke = Callable[..., Any]  # see `start` in conftest.py


def test_the_code_is_the_bundles_own(invoke: Invoke, bundle_dir: Path) -> None:
    """What answers is model.tar.gz:code/, nothing of this checkout."""
    loaded = sys.modules["rerank_engine.service.service"].__file__ or ""

    assert bundle_dir / "code" / "rerank_engine" / "service" / "service.py" == Path(loaded)


def test_answers(invoke: Invoke) -> None:
    """A request is answered with 200, JSON, and the documents as they came."""
    sent = invoke(GOOD.encode(), Content_Type="application/json", Accept="application/json")

    answer = json.loads(sent.body)
    assert (200, "OK", "application/json") == (sent.status, sent.phrase, sent.content_type)
    documents = {entry["index"]: entry["document"] for entry in answer["results"]}
    assert {0: "Add instances.", 1: {"text": "Bananas."}} == documents
    assert "rerank-demo" == answer["model"]


@pytest.mark.parametrize(
    ("content_type", "accept", "labelled"),
    [
        ("application/json; charset=utf-8", "*/*", "application/json"),
        ("application/json;charset=UTF-8", None, "application/json"),
        ("application/x-ndjson", "application/x-ndjson", "application/x-ndjson"),
        ("application/jsonlines", "application/jsonlines", "application/jsonlines"),
        ("application/jsonlines; charset=utf-8", None, "application/json"),  # the toolkit's own default
        ("application/json", "application/json, text/csv;q=0.5", "application/json, text/csv;q=0.5"),  # word for word
    ],
)
def test_content_types(invoke: Invoke, content_type: str, accept: str | None, labelled: str) -> None:
    """JSON and JSON Lines with charsets are read; the label is the toolkit's doing: Accept, word for word."""
    accepted = {} if accept is None else {"Accept": accept}

    sent = invoke(GOOD.encode(), Content_Type=content_type, **accepted)

    assert (200, labelled) == (sent.status, sent.content_type)
    assert 2 == len(json.loads(sent.body)["results"])


@pytest.mark.parametrize(
    ("body", "headers", "status", "phrase", "code"),
    [
        (b"{", {"Content_Type": "application/json"}, 400, "Bad Request", "malformed_body"),
        (b"", {"Content_Type": "application/json; charset=utf-8"}, 400, "Bad Request", "malformed_body"),
        (b"{}", {"Content_Type": "text/html"}, 415, "Unsupported Media Type", "unsupported_media_type"),
        (b"{}", {"Content_Type": "application/x-npy"}, 415, "Unsupported Media Type", "unsupported_media_type"),
        (b"{}", {"Content_Type": "application/json", "Accept": "text/csv"}, 406, "Not Acceptable", "not_acceptable"),
        (b" " * 6_291_457, {"Content_Type": "application/jsonl"}, 413, None, "payload_too_large"),
    ],
)
def test_statuses_reach_mms(
    invoke: Invoke, body: bytes, headers: dict[str, str], status: int, phrase: str | None, code: str
) -> None:
    """Each fault keeps its own status and body; without the context the toolkit would make all of them 400 `error`."""
    sent = invoke(body, **headers)

    assert (status, code) == (sent.status, json.loads(sent.body)["detail"]["code"])
    assert phrase in (None, sent.phrase)


def test_validation_errors_reach_mms(invoke: Invoke) -> None:
    """A 422 arrives with the list of faults."""
    sent = invoke(b'{"query": "q", "documents": ["a"], "topn": 1}', Content_Type="application/json")

    assert (422, "body -> topn") == (sent.status, json.loads(sent.body)["errors"][0]["field"])


@pytest.mark.parametrize("name", [ATTRIBUTES, ATTRIBUTES.lower(), ATTRIBUTES.upper()])
@pytest.mark.parametrize("body", [GOOD.encode(), b"{"])
def test_custom_attributes_come_back(invoke: Invoke, name: str, body: bytes) -> None:
    """The caller's attributes come back whatever the spelling of their name, with errors as well."""
    sent = invoke(body, **{"Content_Type": "application/json", name: "trace=7"})

    told = sent.headers.pop(ATTRIBUTES)
    assert ("trace=7", {"content-type": "application/json"}) == (told.split(";")[0], sent.headers)


def test_json_lines(invoke: Invoke) -> None:
    """One line for each line, faults in their place, no newline at the end."""
    sent = invoke(f"{GOOD}\n\n{GOOD}\n".encode(), Content_Type="application/jsonlines", Accept="application/jsonlines")

    lines = [json.loads(line) for line in sent.body.split(b"\n")]
    assert (200, [None, 400, None]) == (sent.status, [line.get("status") for line in lines])


def test_a_batch_job_keeps_its_file(
    start: Callable[[Path], Invoke], bundle_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SAGEMAKER_BATCH=true a bad record is answered in place."""
    monkeypatch.setenv("SAGEMAKER_BATCH", "true")

    sent = start(bundle_dir)(b'{"id": 7, "query": "q"}', Content_Type="application/json")

    answer = json.loads(sent.body)
    assert (200, 7, 422) == (sent.status, answer["id"], answer["status"])


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_a_batch_job_loses_no_lines(
    start: Callable[[Path], Invoke], bundle_dir: Path, monkeypatch: pytest.MonkeyPatch, content_type: str
) -> None:
    """Lines that are called JSON are answered one by one; what cannot be taken apart arrives as a 400."""
    monkeypatch.setenv("SAGEMAKER_BATCH", "true")
    batch = start(bundle_dir)

    good, bad = (batch(body, Content_Type=content_type) for body in (f"{GOOD}\n{GOOD}\n".encode(), b"{\n}\n"))

    assert (200, 2) == (good.status, len(good.body.split(b"\n")))
    assert 400 == bad.status


def test_a_model_that_cannot_be_loaded(start: Callable[[Path], Invoke], bundle_dir: Path, tmp_path: Path) -> None:
    """Without weights every answer is a 503 with the reason, not a 400, and loading is not tried anew each time."""
    for source in bundle_dir.iterdir():
        if source.name != "model.safetensors":
            (tmp_path / source.name).symlink_to(source)
    broken = start(tmp_path)

    sent: list[Any] = [broken(GOOD.encode(), Content_Type="application/json") for _ in range(2)]

    assert [(503, "Service Unavailable")] * 2 == [(one.status, one.phrase) for one in sent]
    detail = json.loads(sent[1].body)["detail"]
    assert "model_not_loaded" == detail["code"]
    assert "model.safetensors" in detail["message"]
